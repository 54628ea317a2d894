"""`aprtui convert SRC DST`: the built-in converter."""

from __future__ import annotations

from pathlib import Path

import click

from aprtui.cli.progress import progress_reporter
from aprtui.convert.builtin.converter import format_of_destination
from aprtui.convert.builtin.product import write_product
from aprtui.core.errors import AprtuiError, UsageError
from aprtui.core.safe_text import safe_text
from aprtui.formats.model import open_model
from aprtui.formats.output_types import parse_output_type


@click.command(name="convert")
@click.argument("src", type=click.Path(path_type=Path))
@click.argument("dst", type=click.Path(path_type=Path))
@click.option("--outtype", default="lossless", show_default=True, metavar="TYPE|RECIPE", help="Output type.")
def command(src: Path, dst: Path, outtype: str) -> int:
    """Convert model SRC to DST: NAME.gguf, NAME.apr, or a directory for SafeTensors.

    Exit codes: 0 written, 2 DST exists or TYPE is unknown, 3 SRC cannot be read or DST not be written.
    """
    asked_for = parse_output_type(outtype)
    target = format_of_destination(dst)
    _refuse_existing(dst)
    source = open_model(src)
    try:
        dst.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AprtuiError(f"the directory cannot be made: {error.strerror}", file=dst.parent) from None
    with progress_reporter("converting") as progress:
        lacks = write_product(source, target, dst, asked_for, progress)
    for what in lacks:
        click.echo(f"the product lacks its {safe_text(what)}", err=True)
    product = open_model(dst)
    stored = sum(tensor.nbytes for tensor in product.tensors.values())
    click.echo(f"{safe_text(dst)}: {target}, {len(product.tensors)} tensors, {stored:,} bytes")
    return 0


def _refuse_existing(dst: Path) -> None:
    """A destination that holds something stays as it is.

    Raises:
        UsageError: It does.
    """
    occupied = any(dst.iterdir()) if dst.is_dir() else dst.exists()
    if occupied:
        raise UsageError("the destination exists", file=dst, todo="remove it or name another one")
