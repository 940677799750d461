"""The command line: parses, calls, prints."""

from wattest.cli.app import cli, main

__all__ = ["cli", "main"]
