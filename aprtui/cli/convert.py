"""`aprtui convert SRC DST`: the built-in converter, or any other one that a run can test."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from aprtui.cli.progress import progress_reporter
from aprtui.convert import Converter, MissingConverter, converter_named
from aprtui.convert.builtin.converter import format_of_destination
from aprtui.convert.builtin.product import write_product
from aprtui.convert.named import BUILTIN
from aprtui.core.errors import AprtuiError, UsageError
from aprtui.core.safe_text import safe_text
from aprtui.formats.container import Format
from aprtui.formats.model import open_model
from aprtui.formats.output_types import OutputTypes, parse_output_type
from aprtui.settings import load_settings


@click.command(name="convert")
@click.argument("src", type=click.Path(path_type=Path))
@click.argument("dst", type=click.Path(path_type=Path))
@click.option("--outtype", default="lossless", show_default=True, metavar="TYPE|RECIPE", help="Output type.")
@click.option(
    "--converter", default=BUILTIN, show_default=True, metavar="NAME", help="builtin, apr, llama.cpp or your own."
)
def command(src: Path, dst: Path, outtype: str, converter: str) -> int:
    """Convert model SRC to DST: NAME.gguf, NAME.apr, or a directory for SafeTensors.

    Exit codes: 0 written, 2 DST exists or TYPE or NAME is unknown, 3 SRC cannot be read, DST not be written or the
    converter is missing or fails, 4 the converter ran out of time.
    """
    asked_for = parse_output_type(outtype)
    target = format_of_destination(dst)
    refuse_existing(dst)
    other = None if converter == BUILTIN else _other(converter)
    source = open_model(src)
    try:
        dst.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AprtuiError(f"the directory cannot be made: {error.strerror}", file=dst.parent) from None
    if other is not None:
        _convert_beside(other, src, target, dst, asked_for)
    else:
        with progress_reporter("converting") as progress:
            lacks = write_product(source, target, dst, asked_for, progress)
        for what in lacks:
            click.echo(f"the product lacks its {safe_text(what)}", err=True)
    product = open_model(dst)
    stored = sum(tensor.nbytes for tensor in product.tensors.values())
    click.echo(f"{safe_text(dst)}: {target}, {len(product.tensors)} tensors, {stored:,} bytes")
    return 0


def _other(name: str) -> Converter:
    found = converter_named(name, load_settings())
    if isinstance(found, MissingConverter):
        raise AprtuiError(found.reason)
    return found


def _convert_beside(converter: Converter, src: Path, target: Format, dst: Path, asked_for: OutputTypes) -> None:
    """Convert in a directory of its own, so that DST appears whole or not at all.

    Raises:
        AprtuiError: The conversion failed, or DST cannot be written.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=".aprtui-", dir=dst.parent) as scratch:
            destination = Path(scratch) / "product"
            destination.mkdir()
            converter.convert(src, target, destination, asked_for).replace(dst)
    except OSError as error:
        raise AprtuiError(f"it cannot be written: {error.strerror}", file=dst) from None


def refuse_existing(dst: Path) -> None:
    """A destination that holds something stays as it is.

    Raises:
        UsageError: It does.
    """
    occupied = any(dst.iterdir()) if dst.is_dir() else dst.exists()
    if occupied:
        raise UsageError("the destination exists", file=dst, todo="remove it or name another one")
