"""``python -m wattest``."""

from wattest.cli import main

if __name__ == "__main__":
    main()
