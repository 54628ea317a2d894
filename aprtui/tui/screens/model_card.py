"""What is known of a model, as text: JSON of `aprtui inspect`, and the playbooks that mean it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aprtui.tui.words import count, size

_MOST_FILES = 8
_MOST_FINDINGS = 8
_WIDEST_KEY = 28


def card_text(path: str, inspected: Mapping[str, Any], playbooks: Sequence[str]) -> str:
    """The card of a model.

    Args:
        path: Its path.
        inspected: JSON of `aprtui inspect`.
        playbooks: Names of the playbooks that mean it.
    """
    return "\n".join(_lines(path, inspected, playbooks))


def _lines(path: str, inspected: Mapping[str, Any], playbooks: Sequence[str]) -> Iterator[str]:
    tensors = [one for one in _list(inspected, "tensors") if isinstance(one, Mapping)]
    nbytes = sum(_whole(one.get("nbytes")) for one in tensors)
    parameters = sum(_elements(one.get("shape")) for one in tensors)
    yield path
    yield f"{inspected.get('version') or inspected.get('format')} · {inspected.get('architecture')}"
    yield f"{len(tensors)} tensors · {count(parameters)} parameters · {size(nbytes)}"
    types = Counter(str(one.get("dtype")) for one in tensors)
    yield f"types      {'  '.join(f'{name}×{amount}' for name, amount in types.most_common())}"
    files = [Path(str(file)).name for file in _list(inspected, "files")]
    more = f" and {len(files) - _MOST_FILES} more" if len(files) > _MOST_FILES else ""
    yield f"files      {', '.join(files[:_MOST_FILES])}{more}"
    tokenizer = inspected.get("tokenizer")
    tokens = tokenizer.get("tokens") if isinstance(tokenizer, Mapping) else None
    yield f"tokenizer  {'none' if tokens is None else f'{tokens} tokens'}"
    lacks = ", ".join(map(str, _list(inspected, "lacks")))
    yield f"lacks      {lacks or 'nothing'}"
    yield f"playbooks  {', '.join(playbooks) or 'none'}"
    findings = [one for one in _list(inspected, "findings") if isinstance(one, Mapping)]
    if findings:
        yield ""
        yield f"{len(findings)} findings"
        yield from (f"  {one.get('subject')}: {one.get('message')}" for one in findings[:_MOST_FINDINGS])
    metadata = inspected.get("metadata")
    if isinstance(metadata, Mapping) and metadata:
        yield ""
        yield "metadata"
        yield from (f"  {key!s:<{_WIDEST_KEY}} {value}" for key, value in metadata.items())


def _list(value: Mapping[str, Any], key: str) -> list[Any]:
    found = value.get(key)
    return found if isinstance(found, list) else []


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _elements(shape: object) -> int:
    elements = 1
    for size_of in shape if isinstance(shape, list) else (0,):
        elements *= _whole(size_of)
    return elements
