"""Key files and their passphrases."""

from __future__ import annotations

import os
from pathlib import Path

import click

from wattest.audit.dsse import KeyFileError, PrivateKey
from wattest.cli.messages import stderr_is_terminal
from wattest.errors import InputError, JobError
from wattest.jobs.modules import read_at_most

__all__ = ["VARIABLE", "new_passphrase", "read_private_key"]

VARIABLE = "WATTEST_PASSPHRASE"
"""Environment variable that a key's passphrase is taken from, if it is set."""

_LARGEST = 1 << 16


def read_private_key(path: Path) -> PrivateKey:
    """A private key from its file. The passphrase of an encrypted one is taken from the
    environment, or asked for on a terminal.

    Raises:
        InputError: the file cannot be read.
        KeyFileError: it is no such key, or the passphrase is wrong or missing.
        MissingPackage: `cryptography` is not installed.
    """
    try:
        with path.open("rb") as file:
            text = read_at_most(file, _LARGEST)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    passphrase = os.environ.get(VARIABLE)
    if passphrase is None and b"ENCRYPTED" in text and stderr_is_terminal():
        passphrase = click.prompt(f"Passphrase of {path}", hide_input=True, err=True)
    try:
        return PrivateKey.from_pem(text, None if passphrase is None else passphrase.encode())
    except KeyFileError as error:
        hint = f" ({VARIABLE} can hold it)" if "passphrase" in str(error) else ""
        raise KeyFileError(f"{path}: {error}{hint}") from error


def new_passphrase() -> bytes:
    """A passphrase for a new key: from the environment, or asked for twice on a terminal."""
    passphrase = os.environ.get(VARIABLE)
    if passphrase is None:
        if not stderr_is_terminal():
            raise JobError(f"there is no terminal to ask for a passphrase: set {VARIABLE}")
        passphrase = click.prompt("Passphrase", hide_input=True, confirmation_prompt=True, err=True)
    if not passphrase:
        raise JobError("an empty passphrase protects nothing")
    return str(passphrase).encode()
