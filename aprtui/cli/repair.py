"""`aprtui repair SRC DST -o FIXED`: writes the model that the diagnosis of DST repairs, and compares it again."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from aprtui.cli import options
from aprtui.cli.convert import refuse_existing
from aprtui.cli.diagnosis_text import diagnosis_lines
from aprtui.cli.output import show
from aprtui.cli.progress import progress_reporter
from aprtui.compare.comparison import Scope, compare_models
from aprtui.core.errors import UsageError
from aprtui.core.outcomes import Outcome
from aprtui.core.safe_text import safe_text
from aprtui.diagnose import diagnose, write_repaired
from aprtui.formats.container import Format
from aprtui.formats.model import open_model
from aprtui.formats.output_types import parse_output_type


@click.command(name="repair")
@click.argument("src", type=click.Path(path_type=Path))
@click.argument("dst", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    "fixed",
    required=True,
    type=click.Path(path_type=Path),
    help="The file to write; a directory where DST is SafeTensors.",
)
@options.outtype
@options.jobs
def command(src: Path, dst: Path, fixed: Path, outtype: str | None, jobs: int) -> int:
    """Write product DST of source SRC as its diagnosis repairs it.

    Bytes that are all there are put into their place; what is lost, and what DST says about itself, is taken from SRC.
    What only another conversion mends stays as it is, and is said. DST is not changed.

    Exit codes: 0 the written model passes, 1 it does not, 2 FIXED exists, or DST passes and needs no repair, 3 a model
    cannot be read or FIXED not be written.
    """
    refuse_existing(fixed)
    scope = Scope(asked_for=parse_output_type(outtype) if outtype else None, jobs=jobs)
    source, target = open_model(src), open_model(dst)
    if target.format is Format.SAFETENSORS and fixed.suffix == ".safetensors":
        raise UsageError("SafeTensors keeps configuration and tokenizer in files of their own", file=fixed)
    with progress_reporter("comparing") as progress:
        comparison = compare_models(source, target, scope, progress)
    if comparison.outcome is not Outcome.FALSIFIED:
        raise UsageError("nothing fails, so nothing is repaired", file=dst)
    explained = diagnose(source, target, comparison, scope)
    show("\n".join(diagnosis_lines(explained.diagnosis)))
    with progress_reporter("writing") as progress:
        repaired = write_repaired(source, target, explained, fixed, asked_for=scope.asked_for, progress=progress)
    counts = Counter(repaired.tensors.values())
    tensors = ", ".join(f"{count} {taken}" for taken, count in counts.most_common())
    show(f"\n{safe_text(fixed)}: {len(repaired.tensors)} tensors, {tensors}; metadata and tokenizer from the source")
    for what in repaired.lacks:
        show(f"it lacks its {safe_text(what)}")
    with progress_reporter("comparing") as progress:
        again = compare_models(source, open_model(fixed), scope, progress)
    color = "red" if again.outcome is Outcome.FALSIFIED else "green"
    show(click.style(safe_text(again.sentence), fg=color, bold=True))
    return int(again.outcome is Outcome.FALSIFIED)
