"""Options that several commands share, spelled once."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from aprtui.core.errors import UsageError
from aprtui.core.outcomes import Level
from aprtui.core.safe_text import is_unicode
from aprtui.core.scenarios import Backend, EngineName
from aprtui.inference.machine import named_device

F = TypeVar("F", bound=Callable[..., Any])

output_format = click.option(
    "--format",
    "output_format",
    type=click.Choice(["plain", "json"]),
    default="plain",
    show_default=True,
    help="How the result is written to standard output.",
)

named_model = click.option(
    "--model",
    "--model-path",
    "model",
    type=click.Path(path_type=Path),
    help="Model to convert; goes before what the playbook names.",
)

revision = click.option(
    "--revision",
    metavar="REF|COMMIT",
    help="Snapshot of the Hugging Face cache: a branch, a tag, a commit or its first digits. main by default.",
)

sources = click.option(
    "--source",
    "sources",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="GGUF or APR that pairs from its format start from, instead of one that the converter makes (repeatable).",
)

converter = click.option(
    "--converter", metavar="NAME", help="Converter under test: apr (default), llama.cpp, builtin, your own."
)

gates = click.option("--gate", "gates", multiple=True, metavar="ID|GLOB", help="Run only this gate (repeatable).")

pairs = click.option(
    "--pair", "pairs", multiple=True, metavar="S-G", help="Run only the gate of this pair (repeatable)."
)

output = click.option(
    "--output-dir",
    "--output",
    "output",
    type=click.Path(path_type=Path),
    show_default="output",
    help="Directory for evidence.json and run folders, or a path for the evidence that ends in .json.",
)

scratch = click.option(
    "--scratch",
    type=click.Path(path_type=Path),
    help="Directory for products, which stay there for later runs. By default they end with the run.",
)

levels = click.option(
    "--level",
    "levels",
    multiple=True,
    type=click.Choice([*(level.value for level in Level), "all"]),
    help="Check only this level (repeatable). All but behaviour by default, which runs both models; all for every one.",
)

device = click.option(
    "--device",
    default="cpu",
    show_default=True,
    metavar="cpu|cuda[:N]",
    # Before anything else is done: levels that need no device may take an hour.
    callback=lambda _context, _option, value: named_device(value),
    help="Where models are run.",
)

engines = click.option(
    "--engine",
    "engines",
    multiple=True,
    type=click.Choice([engine.value for engine in EngineName]),
    help="Engine that runs scenarios (repeatable). By default the reference, and of the others those that are here.",
)

backends = click.option(
    "--backend",
    "backends",
    multiple=True,
    type=click.Choice([backend.value for backend in Backend]),
    help="Run scenarios on this backend of the playbook only (repeatable).",
)


def _texts(_context: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    """Arguments that a tokenizer takes."""
    for text in given:
        if not is_unicode(text):
            raise UsageError(f"--prompt {text!r} is not UTF-8")
    return given


prompts = click.option(
    "--prompt",
    "prompts",
    multiple=True,
    callback=_texts,
    metavar="TEXT",
    help="Text that tokenizers and models are tried on, beside those that are built in (repeatable).",
)

tokens = click.option(
    "--tokens",
    type=click.IntRange(0, 4096),
    default=16,
    show_default=True,
    help="Tokens to generate from each prompt, at behaviour.",
)

tensor_globs = click.option(
    "--tensor",
    "tensor_globs",
    multiple=True,
    metavar="GLOB",
    help="Compare only tensors whose canonical name matches (repeatable).",
)

outtype = click.option(
    "--outtype",
    metavar="TYPE|RECIPE|lossless",
    help="Output type that was asked for (f16, q8_0, q4_k_m, int8, lossless …); without it types are only reported.",
)

jobs = click.option(
    "--jobs",
    "--workers",
    "jobs",
    type=click.IntRange(1, 256),
    default=lambda: min(8, os.cpu_count() or 1),
    show_default="CPUs, at most 8",
    help="Threads that read and compare weights.",
)
