"""Source elements beside the parts of the blocks that are said to encode them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aprtui.compare.certificate.types import CertificateType
from aprtui.formats.codecs.block_layout import BlockParts, unpack

SMALLEST_NORMAL = 2.0**-14
"""The smallest normal f16."""

HALF_SMALLEST = 2.0**-25
"""Half of the smallest sub-normal f16: below it a scale rounds to zero."""


def cut_into_blocks(source: NDArray[np.float32], block: int, *, flat: bool) -> NDArray[np.float32]:
    """Rows cut into blocks, each row padded with zeros at its end; flat types run on across rows.

    Args:
        source: float32 [rows, columns].
        block: Elements per block.
        flat: Pad the whole array at its end instead of each row.

    Returns:
        float32 [blocks, block], contiguous.
    """
    rows = np.require(source, np.float32, ["C_CONTIGUOUS", "ALIGNED"])
    if flat:
        rows = rows.reshape(1, -1)
    short = -rows.shape[1] % block
    if short:
        rows = np.pad(rows, ((0, 0), (0, short)))
    return rows.reshape(-1, block)


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """n blocks of one type, source and stored.

    Attributes:
        kind: The type.
        source: float32 [n, sub_blocks, sub_block].
        parts: The stored codes, scales, offsets.
        low: float32 [n, sub_blocks]; smallest source value of each sub-block.
        high: The largest.
        step: float32 [n, sub_blocks]; stored step.
        offset: float32 [n, sub_blocks]; stored offset, subtracted from the codes' values.
        finite: bool [n]; neither the scales nor the source hold an inf or a NaN.
    """

    kind: CertificateType
    source: NDArray[np.float32]
    parts: BlockParts
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    step: NDArray[np.float32]
    offset: NDArray[np.float32]
    finite: NDArray[np.bool_]

    @classmethod
    def unpacked(cls, kind: CertificateType, source: NDArray[np.float32], raw: NDArray[np.uint8]) -> Blocks:
        """Take stored blocks apart.

        Args:
            kind: The type.
            source: float32 [n, block].
            raw: uint8 [n, nbytes].
        """
        layout = kind.layout
        parts = unpack(layout, raw)
        grouped = source.reshape(len(source), layout.sub_blocks, layout.sub_block)
        low, high = grouped.min(2), grouped.max(2)
        finite = np.isfinite(parts.scale) & np.isfinite(parts.offset)
        finite &= np.isfinite(low).all(1) & np.isfinite(high).all(1)
        with np.errstate(invalid="ignore"):
            step = parts.scale.astype(np.float32)[:, None] * parts.sub_scales
            offset = parts.offset.astype(np.float32)[:, None] * parts.sub_mins
        return cls(kind, grouped, parts, low, high, step, offset, finite)

    def take(self, index: NDArray[np.intp]) -> Blocks:
        """The blocks with these numbers."""
        parts = self.parts
        return Blocks(
            self.kind,
            self.source[index],
            BlockParts(
                codes=parts.codes[index],
                scale=parts.scale[index],
                sub_scales=parts.sub_scales[index],
                offset=parts.offset[index],
                sub_mins=parts.sub_mins[index],
            ),
            self.low[index],
            self.high[index],
            self.step[index],
            self.offset[index],
            self.finite[index],
        )


def f16_ulp(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spacing of f16 at each value, sub-normals included."""
    exponent = np.frexp(np.maximum(np.abs(value), SMALLEST_NORMAL))[1]
    return np.asarray(np.ldexp(1.0, exponent - 11), np.float64)


def f16_cell(value: NDArray[np.float16]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The interval of real numbers that round to |value|, lower and upper end."""
    size = np.abs(value)
    with np.errstate(over="ignore", under="ignore"):
        above = np.nextafter(size, np.float16(np.inf)).astype(np.float64)
        below = np.nextafter(size, np.float16(0)).astype(np.float64)
    middle = size.astype(np.float64)
    above = np.where(np.isfinite(above), above, 65536.0)
    return (middle + below) / 2, (middle + above) / 2
