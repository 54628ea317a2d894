"""Frozen dataclasses as JSON and back, so that what one process measured is the same fact in another.

Enums are their values, tuples are arrays, non-finite numbers the texts "inf", "-inf" and "nan".
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
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
    result: T = _reader(kind)(value)  # type: ignore[arg-type]  # classes are hashable
    return result


Reader = Callable[[Any], Any]


@cache
def _reader(kind: Any) -> Reader:  # noqa: ANN401 - a type, which may be a union or generic
    """What turns JSON into values of a type; made once, because journals have a hundred thousand lines."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        inner = _reader(next(choice for choice in parts if choice is not type(None)))
        return (lambda value: None if value is None else inner(value)) if type(None) in parts else inner
    if origin is tuple:
        item = _reader(parts[0])
        return lambda value: tuple([item(one) for one in _expected(list, value)])
    if origin is not None and issubclass(origin, Mapping):
        item = _reader(parts[1])
        return lambda value: {key: item(one) for key, one in _expected(dict, value).items()}
    if kind is Any:
        return lambda value: value
    if is_dataclass(kind):
        return _dataclass_reader(kind)
    if issubclass(kind, Enum):
        by_value: Reader = kind
        return by_value
    if kind is float:
        return _float
    return lambda value: _expected(kind, value)


def _dataclass_reader(kind: Any) -> Reader:  # noqa: ANN401 - a class
    # Types may hold themselves or each other: readers of fields are looked up when the first value is read.
    readers: dict[str, Reader] | None = None

    def read(value: object) -> Any:  # noqa: ANN401 - an instance of the class
        nonlocal readers
        if readers is None:
            readers = {name: _reader(hint) for name, hint in get_type_hints(kind).items()}
        known, by_name = _expected(dict, value), readers
        try:
            return kind(**{name: by_name[name](item) for name, item in known.items() if name in by_name})
        except TypeError as error:
            raise ValueError(f"no {kind.__name__}: {error}") from None

    return read


def _float(value: object) -> float:
    return float(value) if isinstance(value, str | int) else _expected(float, value)


def _expected(kind: type[T], value: object) -> T:
    if not isinstance(value, kind):
        raise ValueError(f"expected {kind.__name__}, found {type(value).__name__}")
    return value
