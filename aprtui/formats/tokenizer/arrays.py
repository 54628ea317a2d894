"""Arrays and flags of a header's metadata, taken for what they should be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aprtui.core.findings import Finding
from aprtui.formats.tokenizer.facts import MOST_TOKENS, problem

_SUBJECTS = {"vocabulary": "vocabulary", "tokens": "vocabulary", "token_type": "token_types", "merges": "merges"}


def _subject(name: str) -> str:
    last = name.rpartition(".")[2]
    return _SUBJECTS.get(last, last)


def strings(raw: Mapping[str, Any], name: str, problems: list[Finding]) -> Sequence[str] | None:
    """A sequence of texts (lazy ones stay lazy), or None where there is none or something else."""
    value = raw.get(name)
    if value is None:
        return None
    if isinstance(value, np.ndarray) and not value.size:
        return ()
    fits = isinstance(value, Sequence) and not isinstance(value, str | bytes) and len(value) <= MOST_TOKENS
    # A lazy sequence holds texts by its format's word; a JSON list may hold anything.
    if fits and not (isinstance(value, list) and not all(isinstance(item, str) for item in value)):
        strings_: Sequence[str] = value
        return strings_
    problems.append(problem(_subject(name), "the value is not a list of texts", type(value).__name__, name))
    return None


def integers(raw: Mapping[str, Any], name: str, problems: list[Finding]) -> Sequence[int] | None:
    """A list of integers, or None where there is none or something else."""
    array = _numbers(raw, name, problems)
    if array is None:
        return None
    if array.size and array.dtype.kind not in "iu":
        problems.append(problem(_subject(name), "the value is not a list of integers", array.dtype.name, name))
        return None
    return [int(item) for item in array.tolist()]


def floats(raw: Mapping[str, Any], name: str, problems: list[Finding]) -> Sequence[float] | None:
    """A list of numbers, or None where there is none or something else."""
    array = _numbers(raw, name, problems)
    return None if array is None else [float(item) for item in array.tolist()]


def flag(raw: Mapping[str, Any], name: str, problems: list[Finding]) -> bool | None:
    """A flag, or None where there is none or something else."""
    value = raw.get(name)
    if value is None or isinstance(value, bool):
        return value
    problems.append(problem(_subject(name), "the value is not true or false", value, name))
    return None


def _numbers(raw: Mapping[str, Any], name: str, problems: list[Finding]) -> np.ndarray[Any, Any] | None:
    value = raw.get(name)
    if value is None:
        return None
    if isinstance(value, np.ndarray | list) and len(value) <= MOST_TOKENS:
        try:
            array = np.asarray(value)
        except (ValueError, OverflowError):
            array = np.empty((0, 0))
        if array.ndim == 1 and array.dtype.kind in "iuf":
            return array
        if array.ndim == 1 and not array.size:
            return array.astype(np.int64)
    problems.append(problem(_subject(name), "the value is not a list of numbers", type(value).__name__, name))
    return None
