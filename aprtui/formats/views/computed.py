"""A leaf without a file: a vector that a converter computes from the configuration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aprtui.core.dtypes import DType
from aprtui.formats.chunk import Chunk
from aprtui.formats.views.base import Indices, View, float_chunk


@dataclass(frozen=True)
class Computed(View):
    """A float32 vector (rope factors).

    Attributes:
        values: Its elements.
        reason: What it is computed from.
    """

    values: tuple[float, ...]
    reason: str

    @property
    def shape(self) -> tuple[int, ...]:
        """One dimension."""
        return (len(self.values),)

    @property
    def dtype(self) -> DType:
        """Float32."""
        return DType.F32

    @property
    def rule(self) -> str:
        """What it is computed from."""
        return self.reason

    def gather(self, rows: Indices) -> Chunk:
        """The vector, once per row asked for."""
        vector = np.asarray(self.values, np.float32)
        return float_chunk(np.repeat(vector[None, :], len(rows), axis=0))
