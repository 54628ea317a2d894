"""Values from headers and JSON files, taken for what they should be; anything else is refused with a reason.

Files are written by strangers: a number may be a string, a list, NaN or an object.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from math import isfinite
from typing import Any

import numpy as np

# More layers than any model has; a list beyond it is not a list of layers.
_MOST_LAYERS = 65536
_MOST_IDS = 256


class Kind(StrEnum):
    """What a value must be."""

    INTEGER = "an integer"
    PER_LAYER = "an integer, or one for each layer"
    NUMBER = "a finite number"
    FLAG = "true or false"
    TEXT = "text"
    IDS = "a token id, or a list of them"
    ROPE_SCALING = "an object with a rope type"
    LAYER_TYPES = "a list of layer types"


Value = int | float | bool | str | tuple[Any, ...] | dict[str, Any]


class BadValueError(ValueError):
    """A value is not of the kind that its key needs."""


def coerce(kind: Kind, value: object) -> Value:
    """A value as its kind demands.

    Returns:
        int, float, bool, str; a tuple of int for token ids (sorted, each once) and for integers that differ from layer
        to layer; a dict for rope scaling; a tuple of str for layer types.

    Raises:
        BadValueError: The value is of another kind.
    """
    return _COERCE[kind](value)


def _integer(value: object) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 63:
        raise BadValueError
    return value


def _items(value: object, limit: int) -> list[Any]:
    if isinstance(value, np.ndarray):
        if value.ndim != 1 or value.size > limit:
            raise BadValueError
        return list(value.tolist())
    if not isinstance(value, Sequence) or isinstance(value, str | bytes) or len(value) > limit:
        raise BadValueError
    return list(value)


def _per_layer(value: object) -> int | tuple[int, ...]:
    if isinstance(value, int | float):
        return _integer(value)
    each = tuple(_integer(item) for item in _items(value, _MOST_LAYERS))
    if not each:
        raise BadValueError
    return each[0] if len(set(each)) == 1 else each


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadValueError
    try:
        number = float(value)
    except OverflowError:
        raise BadValueError from None
    if not isfinite(number):
        raise BadValueError
    return number


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise BadValueError
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise BadValueError
    return value


def _token_ids(value: object) -> tuple[int, ...]:
    if isinstance(value, int | float):
        return (_integer(value),)
    return tuple(sorted({_integer(item) for item in _items(value, _MOST_IDS)}))


def _rope_scaling(value: object) -> dict[str, Any]:
    """Keeps numbers, texts, flags and lists of numbers, which is all that any rope type has."""
    if not isinstance(value, Mapping):
        raise BadValueError
    kept: dict[str, Any] = {}
    for name, item in value.items():
        if isinstance(item, bool | str):
            kept[str(name)] = item
        elif isinstance(item, int | float):
            number = _number(item)
            kept[str(name)] = item if isinstance(item, int) else number
        elif isinstance(item, list):
            kept[str(name)] = tuple(_number(part) for part in _items(item, _MOST_LAYERS))
    return kept


def _layer_types(value: object) -> tuple[str, ...]:
    return tuple(_text(item) for item in _items(value, _MOST_LAYERS))


_COERCE: dict[Kind, Callable[[object], Value]] = {
    Kind.INTEGER: _integer,
    Kind.PER_LAYER: _per_layer,
    Kind.NUMBER: _number,
    Kind.FLAG: _flag,
    Kind.TEXT: _text,
    Kind.IDS: _token_ids,
    Kind.ROPE_SCALING: _rope_scaling,
    Kind.LAYER_TYPES: _layer_types,
}
