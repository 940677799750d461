"""``wattest sign``."""

from __future__ import annotations

from pathlib import Path

import click

from wattest.audit import Receipt
from wattest.audit.files import written_whole
from wattest.cli.keys import read_private_key
from wattest.cli.messages import put, say
from wattest.errors import EvidenceError, InputError, OutputError

__all__ = ["sign"]


@click.command(short_help="Sign a receipt.")
@click.option(
    "--key",
    "key",
    type=click.Path(path_type=Path),
    required=True,
    metavar="KEY",
    help="The private key, as wattest keygen makes.",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Where the envelope goes; - is standard output. [default: beside it, as .dsse.json]",
)
@click.argument("receipt", type=click.Path(path_type=Path))
def sign(key: Path, output: str | None, receipt: Path) -> int:
    """Put RECEIPT into a DSSE envelope with a signature, or add a signature to one that is in an
    envelope already.

    Whoever signs says that the receipt is theirs, not that it is right: wattest verify checks that.
    """
    try:
        found = Receipt.load(receipt)
    except EvidenceError as error:
        raise EvidenceError(f"{receipt}: {error}") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{receipt}: {getattr(error, 'strerror', None) or error}") from error
    signer = read_private_key(key)
    signed = found.signed(signer)
    if output == "-":
        put(signed.to_json(), newline=False)
        return 0
    target = Path(output) if output is not None else _beside(receipt, found)
    try:
        with written_whole(target) as file:
            file.write(signed.to_json().encode())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{target}: {reason}") from error
    say(f"signed by {signer.public.id}: {target}")
    return 0


def _beside(path: Path, receipt: Receipt) -> Path:
    if receipt.envelope is not None:
        return path
    return path.with_name(f"{path.stem if path.suffix == '.json' else path.name}.dsse.json")
