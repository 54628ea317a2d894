"""`aprtui inspect FILE`: what a file is, what it holds, what it lacks."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from aprtui.cli import options
from aprtui.cli.output import show
from aprtui.core.safe_text import safe_text
from aprtui.formats.model import Model, open_model
from aprtui.formats.tokenizer import TokenizerFacts
from aprtui.report.comparison_json import finding_to_json

_LISTED_TENSORS = 400
_VALUE_WIDTH = 100


@click.command(name="inspect")
@click.argument("path", type=click.Path(path_type=Path))
@options.output_format
def command(path: Path, output_format: str) -> int:
    """Show what a model file or directory is, what it holds and what it lacks.

    Exit codes: 0 shown, whatever was found in it, 3 it cannot be read.
    """
    model = open_model(path)
    if output_format == "json":
        show(json.dumps(model_to_json(model), indent=2, default=str))
    else:
        show("\n".join(inspect_lines(model)))
    return 0


def lacking(model: Model) -> list[str]:
    """What a model of this format usually carries and this one does not, in words."""
    missing = []
    if not model.config.explicit:
        missing.append("metadata: no configuration (architecture and head counts are unknown)")
    tokenizer = model.tokenizer
    if tokenizer is None:
        missing.append("tokenizer")
    else:
        missing += [f"tokenizer: {part}" for part in _missing_parts(tokenizer)]
    missing += [
        f"data of {name}: a placeholder without bytes"
        for name, tensor in model.tensors.items()
        if tensor.is_placeholder
    ]
    return missing


def _missing_parts(tokenizer: TokenizerFacts) -> Iterator[str]:
    parts: dict[str, Any] = {
        "merges": tokenizer.merges,
        "token types": tokenizer.token_types,
        "pre-tokenizer": tokenizer.pre_tokenizer,
        "chat template": tokenizer.chat_template,
    }
    yield from (name for name, value in parts.items() if value is None)


def inspect_lines(model: Model) -> Iterator[str]:
    """Lines of the plain report."""
    container = model.container
    tensors = model.tensors.values()
    parameters = sum(tensor.elements for tensor in tensors if not tensor.is_placeholder)
    stored = sum(tensor.nbytes for tensor in tensors)
    yield f"{safe_text(model.path)}"
    yield f"{container.format.value}, {safe_text(container.version)}"
    yield f"architecture {safe_text(model.architecture)}, {parameters:,} parameters, {stored:,} bytes of tensors"
    yield f"files: {', '.join(safe_text(file.name) for file in container.files)}"
    yield ""
    yield from _findings(model)
    missing = lacking(model)
    yield f"lacks: {'; '.join(map(safe_text, missing))}" if missing else "lacks: nothing"
    yield ""
    yield "types"
    sizes = Counter[str]()
    for tensor in tensors:
        sizes[tensor.dtype.value] += tensor.nbytes
    counts = Counter(tensor.dtype.value for tensor in tensors)
    for dtype, count in counts.most_common():
        yield f"  {dtype:<8} {count:>6} tensors {sizes[dtype]:>16,} bytes"
    yield ""
    yield "metadata (canonical name, value, where it stands)"
    for key, value in sorted(model.config.values.items()):
        where = model.config.origin.get(key, "default")
        yield f"  {key:<28} {safe_text(value, _VALUE_WIDTH)}  [{safe_text(where)}]"
    yield ""
    yield from _tensor_lines(model)


def _findings(model: Model) -> Iterator[str]:
    for finding in model.findings:
        kind = "FAIL" if finding.is_failure else "note"
        yield f"{kind}  {safe_text(finding.subject)}: {safe_text(finding.message)}"


def _tensor_lines(model: Model) -> Iterator[str]:
    yield "tensors (canonical name, type, shape, offset, bytes; stored name where it differs)"
    for number, (name, tensor) in enumerate(model.tensors.items()):
        if number == _LISTED_TENSORS:
            yield f"  … {len(model.tensors) - number} more (--format json lists all)"
            return
        stored_as = "" if name == tensor.name else f"  {safe_text(tensor.name)}"
        shape = "x".join(map(str, tensor.shape)) or "scalar"
        yield (
            f"  {safe_text(name):<52} {tensor.dtype:<8} {shape:<16} {tensor.offset:>12} {tensor.nbytes:>12}{stored_as}"
        )


def model_to_json(model: Model) -> dict[str, Any]:
    """The whole report as JSON values; vocabularies are given by size."""
    tokenizer = model.tokenizer
    return {
        "path": str(model.path),
        "format": model.format.value,
        "version": model.container.version,
        "architecture": model.architecture,
        "files": [str(file) for file in model.container.files],
        "findings": [finding_to_json(finding) for finding in model.findings],
        "lacks": lacking(model),
        "metadata": dict(model.config.values),
        "metadata_origin": dict(model.config.origin),
        "tokenizer": None if tokenizer is None else {"tokens": len(tokenizer.vocabulary or ())},
        "tensors": [
            {
                "name": name,
                "stored_name": tensor.name,
                "dtype": tensor.dtype.value,
                "shape": list(tensor.shape),
                "file": str(tensor.file),
                "offset": tensor.offset,
                "nbytes": tensor.nbytes,
            }
            for name, tensor in model.tensors.items()
        ],
    }
