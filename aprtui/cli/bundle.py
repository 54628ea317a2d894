"""`aprtui bundle RUN`: a run as one file, to be looked at on another machine."""

from __future__ import annotations

from pathlib import Path

import click

from aprtui.core.safe_text import safe_text
from aprtui.store.bundle import SUFFIX, write_bundle
from aprtui.store.register import find_run


@click.command(name="bundle")
@click.argument("run")
@click.option(
    "-o",
    "--output",
    "output",
    type=click.Path(path_type=Path, dir_okay=False),
    show_default="RUN.tar.gz",
    help="The file; replaced where it is there.",
)
def command(*, run: str, output: Path | None) -> int:
    """Write RUN, the id or the folder of a run, as one file without weights.

    `show`, `compare` and `--failed-of` take the file as a RUN, on any machine. It holds paths, command lines and the
    names of machine and tensors as the run has them, and the last MiB of what converters wrote.

    Exit codes: 0 written, 2 there is no such run, 3 the run cannot be read or the file cannot be written.
    """
    folder = find_run(run)
    path = output or Path(f"{folder.path.name}{SUFFIX}")
    size = write_bundle(folder, path)
    click.echo(f"{safe_text(path)}: {size:,} bytes")
    return 0
