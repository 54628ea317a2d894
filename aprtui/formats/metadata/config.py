"""What a model says about itself, in canonical terms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aprtui.core.findings import Finding
from aprtui.core.outcomes import Level
from aprtui.formats.container import Container, Format
from aprtui.formats.metadata.keys import Key
from aprtui.formats.metadata.values import BadValueError, coerce
from aprtui.formats.names import RowOrder

_LONGEST_QUOTE = 80


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Metadata of a model under canonical names.

    Attributes:
        format: The format it was read from.
        architecture: Hugging Face's model_type; None where the file names none.
        raw_architecture: The architecture as the file spells it.
        values: Value by canonical key, with what the format's own runtime assumes where the file says nothing. A key
            that is absent has no value (no sliding window, no rope scaling).
        explicit: Keys that the file states itself.
        origin: Raw name by canonical key, for stated keys.
        problems: Values that are not what their key needs; they count as absent.
        row_orders: Whose row order the tensors follow, told by format and names; both where a file mixes them.
    """

    format: Format
    architecture: str | None
    raw_architecture: str | None
    values: Mapping[str, Any]
    explicit: frozenset[str] = frozenset()
    origin: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Finding, ...] = ()
    row_orders: frozenset[RowOrder] = frozenset()

    @property
    def is_missing(self) -> bool:
        """Whether the file says nothing about the model at all."""
        return self.raw_architecture is None and not self.explicit


class Draft:
    """Collects values while a file is read.

    Args:
        container: The model; its path stands in problems.
    """

    def __init__(self, container: Container) -> None:
        self.container = container
        self.values: dict[str, Any] = {}
        self.explicit: set[str] = set()
        self.origin: dict[str, str] = {}
        self.problems: list[Finding] = []

    def take(self, key: Key, raw: Mapping[str, Any], names: Iterable[str]) -> None:
        """Read a key under the first of its names that has a value; null counts as none."""
        for name in names:
            if raw.get(name) is not None:
                self.put(key, name, raw[name])
                return

    def put(self, key: Key, name: str, value: object) -> None:
        """Record a stated value, or the problem with it."""
        try:
            self.values[key.name] = coerce(key.kind, value)
        except BadValueError:
            self.problem(key.name, f"the value is not {key.kind}", found=value, place=name)
            return
        self.explicit.add(key.name)
        self.origin[key.name] = name

    def default(self, name: str, value: object) -> None:
        """Fill in what a file leaves out."""
        if value is not None:
            self.values.setdefault(name, value)

    def drop(self, *names: str) -> None:
        """Forget keys that have no effect in this model."""
        for name in names:
            self.values.pop(name, None)

    def problem(self, subject: str, message: str, *, found: object = None, place: str | None = None) -> None:
        """Record something that is wrong with the file itself."""
        quote = None if found is None else repr(found)[:_LONGEST_QUOTE]
        self.problems.append(Finding(Level.METADATA, subject, message, found=quote, place=place))

    def integer(self, name: str) -> int | None:
        """A value that is one integer, or None."""
        value = self.values.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None
