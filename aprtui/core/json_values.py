"""Frozen dataclasses as JSON and back, so that what one process measured is the same fact in another.

Enums are their values, tuples are arrays, non-finite numbers the texts "inf", "-inf" and "nan".
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from math import isfinite
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def to_json(value: object) -> Any:  # noqa: ANN401 - JSON has no narrower type
    """Plain JSON values of a dataclass, an enum, a tuple, a mapping or a scalar."""
    if is_dataclass(value):
        return {field.name: to_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    return value


def from_json(kind: type[T], value: object) -> T:
    """The value of a type that `to_json` made; keys that the type does not have are passed over.

    Raises:
        ValueError: The value does not fit the type.
    """
    result: T = _converted(kind, value)
    return result


@cache
def _field_types(kind: type) -> Mapping[str, Any]:
    return get_type_hints(kind)


def _converted(kind: Any, value: object) -> Any:  # noqa: ANN401 - a type, and a value of it
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in get_args(kind):
            return None
        return _converted(next(choice for choice in get_args(kind) if choice is not type(None)), value)
    if origin is tuple:
        return tuple(_converted(get_args(kind)[0], item) for item in _expected(list, value))
    if origin is not None and issubclass(origin, Mapping):
        return {key: _converted(get_args(kind)[1], item) for key, item in _expected(dict, value).items()}
    if is_dataclass(kind) and isinstance(kind, type):
        return _dataclass(kind, _expected(dict, value))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    if kind is float and isinstance(value, str | int):
        return float(value)
    return value if kind is Any else _expected(kind, value)


def _dataclass(kind: type[T], value: Mapping[str, object]) -> T:
    known = _field_types(kind)  # type: ignore[arg-type]  # classes are hashable
    try:
        return kind(**{name: _converted(known[name], item) for name, item in value.items() if name in known})
    except TypeError as error:
        raise ValueError(f"no {kind.__name__}: {error}") from None


def _expected(kind: type[T], value: object) -> T:
    if not isinstance(value, kind):
        raise ValueError(f"expected {kind.__name__}, found {type(value).__name__}")
    return value
