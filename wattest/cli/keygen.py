"""``wattest keygen``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from wattest.audit.dsse import generate_key
from wattest.cli.keys import VARIABLE, new_passphrase
from wattest.cli.messages import say
from wattest.errors import OutputError

__all__ = ["keygen"]


@click.command(short_help="Make a key to sign receipts with.")
@click.option(
    "--passphrase",
    "encrypt",
    is_flag=True,
    help=f"Encrypt the key with a passphrase, which is asked for or taken from {VARIABLE}.",
)
@click.argument("name", type=click.Path(path_type=Path))
def keygen(encrypt: bool, name: Path) -> int:
    """Make an Ed25519 key: the private half in NAME, for its owner's eyes only (mode 0600), the
    public one in NAME.pub. Both are PEM files. Nothing is ever overwritten.
    """
    public = name.with_name(f"{name.name}.pub")
    for path in (name, public):
        if path.is_symlink() or path.exists():
            raise OutputError(f"{path}: exists already")
    passphrase = new_passphrase() if encrypt else None
    key = generate_key()
    _write(name, key.to_pem(passphrase), 0o600)
    try:
        _write(public, key.public.to_pem(), 0o644)
    except OutputError:
        name.unlink(missing_ok=True)
        raise
    say(f"private key in {name}, public key in {public}, keyid {key.public.id}")
    return 0


def _write(path: Path, data: bytes, mode: int) -> None:
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(path, flags, mode), "wb") as file:
            file.write(data)
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror or error}") from error
