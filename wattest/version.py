"""The version of this release; pyproject.toml names the same one."""

__all__ = ["__version__"]

__version__ = "0.1.0"
