"""The closed set of operations that llama.cpp's converter applies to a checkpoint's tensors, as data.

A step says what happens to an array and whether it can be undone; views carry it out lazily.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

# Rows of the widest projections number some hundred thousand; a row count from a hostile header must not become an
# array of row numbers.
_MOST_ROWS = 1 << 24


def _check_count(rows: int) -> None:
    if not 0 < rows <= _MOST_ROWS:
        raise ValueError(f"{rows} rows cannot be reordered (1 to {_MOST_ROWS} can)")


@dataclass(frozen=True, slots=True)
class PermuteRotaryRows:
    """Rows of each head reordered from half-split rotary pairs to adjacent pairs (weights and biases).

    llama.cpp `LlamaModel.permute`: `reshape(heads, 2, rows / heads / 2, ...).swapaxes(1, 2)`.

    Attributes:
        heads: Heads that the rows divide into (kv heads for k).
        undo: The opposite direction.
    """

    heads: int
    undo: bool = False

    def order(self, rows: int) -> NDArray[np.int64]:
        """For each target row the source row; int64 [rows].

        Raises:
            ValueError: If the rows do not divide into heads of an even length.
        """
        if self.heads < 1 or rows % (2 * self.heads):
            raise ValueError(f"{rows} rows do not divide into {self.heads} heads of an even length")
        _check_count(rows)
        half = rows // self.heads // 2
        split = (self.heads, half, 2) if self.undo else (self.heads, 2, half)
        return np.arange(rows, dtype=np.int64).reshape(split).swapaxes(1, 2).reshape(-1)

    @property
    def inverse(self) -> PermuteRotaryRows:
        """The opposite permutation."""
        return replace(self, undo=not self.undo)


@dataclass(frozen=True, slots=True)
class RegroupQkv:
    """Rows of a fused projection reordered from groups (queries, key, value) to all q, all k, all v.

    A group holds the `heads / kv_heads` query heads that share one key head and one value head. llama.cpp
    `FalconModel.modify_tensors`, `InternLM2Model.modify_tensors`.

    Attributes:
        heads: Query heads.
        kv_heads: Key heads, as many as value heads.
        undo: The opposite direction.
    """

    heads: int
    kv_heads: int
    undo: bool = False

    def order(self, rows: int) -> NDArray[np.int64]:
        """For each target row the source row; int64 [rows].

        Raises:
            ValueError: If the rows do not divide into these heads.
        """
        total = self.heads + 2 * self.kv_heads
        if self.kv_heads < 1 or self.heads % self.kv_heads or rows % total:
            raise ValueError(f"{rows} rows do not divide into {self.heads} q and 2 x {self.kv_heads} k and v heads")
        _check_count(rows)
        groups = np.arange(total, dtype=np.int64).reshape(self.kv_heads, -1)
        heads = np.concatenate([groups[:, :-2].reshape(-1), groups[:, -2], groups[:, -1]])
        head_dim = rows // total
        order = (heads[:, None] * head_dim + np.arange(head_dim)).reshape(-1)
        return np.argsort(order) if self.undo else order

    @property
    def inverse(self) -> RegroupQkv:
        """The opposite permutation."""
        return replace(self, undo=not self.undo)


@dataclass(frozen=True, slots=True)
class AddConstant:
    """A constant added to every element, in float32 (in float16 where the source is F16), stored as F32.

    The inverse is not exact: adding rounds away bits of small weights.

    Attributes:
        value: The constant.
    """

    value: float

    @property
    def inverse(self) -> AddConstant:
        """Adding the opposite."""
        return AddConstant(-self.value)


@dataclass(frozen=True, slots=True)
class Transpose:
    """Rows and columns of a matrix exchanged (`Conv1D` modules keep [in, out])."""

    @property
    def inverse(self) -> Transpose:
        """Transposing again."""
        return self


@dataclass(frozen=True, slots=True)
class Stack:
    """Several sources of one shape stacked along a new first dimension."""

    @property
    def inverse(self) -> None:
        """None: each source is one `TakeMatrix` of the result."""
        return


@dataclass(frozen=True, slots=True)
class TakeMatrix:
    """One entry of the first dimension, which disappears.

    Attributes:
        index: Which entry.
    """

    index: int

    @property
    def inverse(self) -> None:
        """None: the other entries are missing."""
        return


@dataclass(frozen=True, slots=True)
class SliceRows:
    """Rows `start` up to, not including, `stop` of the first dimension.

    Attributes:
        start: First row.
        stop: Row after the last.
    """

    start: int
    stop: int

    @property
    def inverse(self) -> None:
        """None: the other rows are missing."""
        return


@dataclass(frozen=True, slots=True)
class Values:
    """A float32 vector that the converter computes from the configuration; it has no source.

    Attributes:
        values: Its elements.
    """

    values: tuple[float, ...]

    @property
    def inverse(self) -> None:
        """None: there is nothing to go back to."""
        return


Step = PermuteRotaryRows | RegroupQkv | AddConstant | Transpose | Stack | TakeMatrix | SliceRows | Values
