"""The catalogue of faults that the certificate's detection is measured on, one damaged tensor each.

The order of random draws is part of the baseline: with the same seed and shape, every cell is the same tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from certificate_samples import (
    F32,
    Floats,
    Raw,
    codes_chosen_anew,
    decode,
    encode,
    one_code_off,
    scales_times,
    through_bf16,
    with_codes,
)
from numpy.typing import NDArray

from aprtui.compare.certificate.types import CERTIFICATE_TYPES, CertificateType
from aprtui.core.dtypes import DType
from aprtui.formats.codecs.bit_fields import get_bits, put_bits
from aprtui.formats.codecs.block_layout import get_scale, put_codes, put_offset, put_scale, unpack

BITS_OF_SCALE = "one bit of d flipped"


@dataclass(frozen=True, slots=True, eq=False)
class Damage:
    """A damaged tensor.

    Attributes:
        fault: Name of the fault.
        raw: uint8 [blocks, nbytes].
        source: float32 [rows, columns] that the tensor should hold.
        touched: bool [blocks]; the blocks over which detection is counted.
        bit: The bit that was flipped, for `BITS_OF_SCALE`.
    """

    fault: str
    raw: Raw
    source: Floats
    touched: NDArray[np.bool_]
    bit: int = -1


@dataclass(frozen=True, slots=True, eq=False)
class Honest:
    """An honest encoding that faults are injected into."""

    dtype: DType
    source: Floats
    raw: Raw
    encode: Callable[[Floats], Raw]
    random: np.random.Generator

    @property
    def kind(self) -> CertificateType:
        """What is known of the type."""
        return CERTIFICATE_TYPES[self.dtype]

    def damage(self, fault: str, raw: Raw, *, source: Floats | None = None, every: bool = False) -> Damage:
        """Damage that touches the blocks whose bytes changed, or every block."""
        touched = np.ones(len(raw), np.bool_) if every else (raw != self.raw).any(1)
        return Damage(fault, raw, self.source if source is None else source, touched)


def faults(
    dtype: DType, rows: int, columns: int, random: np.random.Generator, weights: Floats | None
) -> Iterator[Damage]:
    """Every fault on one Gaussian tensor, in the order of the baseline.

    Args:
        dtype: The type.
        rows: Rows of the tensor.
        columns: Columns of the tensor.
        random: Shared by all types, so that types must come in the order of the baseline.
        weights: float32 [columns]; importance matrix of the encoder.
    """
    x = random.standard_normal((rows, columns)).astype(F32) * F32(0.02)

    def encoder(values: Floats) -> Raw:
        return encode(dtype, values, weights)

    honest = Honest(dtype, x, encoder(x), encoder, random)
    yield from _scales(honest)
    yield from _bits(honest)
    yield from _codes(honest)
    yield from _rows_and_detours(honest)
    yield from _offsets(honest)
    yield from _small_scales(honest)
    yield from _moved(honest)


def _scales(honest: Honest) -> Iterator[Damage]:
    dtype, raw = honest.dtype, honest.raw
    for factor in (200, 0.1, 1.01):
        yield honest.damage(f"scales x{factor}, codes kept", scales_times(dtype, raw, factor))
    for factor in (200, 0.1, 2, 1.5, 0.7, 1.01):
        scaled = scales_times(dtype, raw, factor, with_offset=False)
        yield honest.damage(f"scales x{factor}, codes chosen anew", codes_chosen_anew(dtype, scaled, honest.source))


def _bits(honest: Honest) -> Iterator[Damage]:
    layout, blocks = honest.kind.layout, len(honest.raw)
    for bit in range(16):
        out, hit = honest.raw.copy(), honest.random.random(blocks) < 0.1
        out[hit, layout.scale_at + bit // 8] ^= np.uint8(1 << bit % 8)
        yield Damage(BITS_OF_SCALE, out, honest.source, hit, bit)
    if layout.sub_scales:
        value, out = get_bits(honest.raw, layout.sub_scales), honest.raw.copy()
        value[np.arange(blocks), honest.random.integers(0, value.shape[1], blocks)] ^= 1
        put_bits(out, layout.sub_scales, value)
        yield honest.damage("lowest bit of one sub-scale", out)


def _codes(honest: Honest) -> Iterator[Damage]:
    dtype, raw = honest.dtype, honest.raw
    yield honest.damage("one code off by one", one_code_off(dtype, raw, honest.random))
    codes = unpack(honest.kind.layout, raw).codes.astype(int)
    shifted = np.minimum(codes + 1, len(honest.kind.layout.levels) - 1)
    yield honest.damage("all codes +1, clipped", with_codes(dtype, raw, shifted))


def _rows_and_detours(honest: Honest) -> Iterator[Damage]:
    dtype, raw, x = honest.dtype, honest.raw, honest.source
    zeroed = x.copy()
    zeroed[7] = 0
    yield honest.damage("a row zeroed before encoding", honest.encode(zeroed))
    out = raw.copy()
    out[: len(raw) // len(x)] = 0
    yield honest.damage("a row's bytes zeroed", out)
    yield honest.damage("bf16 before encoding", honest.encode(through_bf16(x)), every=True)
    twice = honest.encode(decode(dtype, raw).reshape(x.shape))
    changed = (decode(dtype, twice) != decode(dtype, raw)).any(1)
    yield Damage("encoded twice, same type", twice, x, changed)
    if dtype is not DType.Q8_0:
        detour = decode(DType.Q8_0, encode(DType.Q8_0, x)).reshape(x.shape)
        yield honest.damage("Q8_0 first", honest.encode(detour), every=True)


def _offsets(honest: Honest) -> Iterator[Damage]:
    layout = honest.kind.layout
    if layout.offset_at is None:
        return
    out = honest.raw.copy()
    put_offset(layout, out, np.zeros(len(out), np.float16))
    yield honest.damage("min dropped, codes kept", out)
    yield honest.damage("min dropped, codes chosen anew", codes_chosen_anew(honest.dtype, out, honest.source))


def _small_scales(honest: Honest) -> Iterator[Damage]:
    layout, blocks = honest.kind.layout, len(honest.raw)
    constant = np.full_like(honest.source, 0.731)
    out = honest.encode(constant)
    if layout.sub_scales:
        put_bits(out, layout.sub_scales, np.full((blocks, layout.sub_blocks), 1 + layout.sub_scale_bias, np.uint8))
    if layout.offset_at is not None:
        put_offset(layout, out, np.zeros(blocks, np.float16))
    put_scale(layout, out, np.full(blocks, 6.1e-5, np.float16))
    recoded = codes_chosen_anew(honest.dtype, out, constant)
    yield honest.damage("constant, scale 6.1e-5", recoded, source=constant, every=True)

    small = honest.source * F32(0.005)
    out = honest.encode(small)
    put_scale(layout, out, _flushed(get_scale(layout, out)))
    if layout.offset_at is not None:
        put_offset(layout, out, _flushed(unpack(layout, out).offset))
    yield honest.damage("sub-normal scales flushed", out, source=small, every=True)


def _flushed(scale: NDArray[np.float16]) -> NDArray[np.float16]:
    return np.where(np.abs(scale) < 2.0**-14, np.float16(0), scale)


def _moved(honest: Honest) -> Iterator[Damage]:
    layout, raw, blocks = honest.kind.layout, honest.raw, len(honest.raw)
    yield honest.damage("x1.01 before encoding", honest.encode(honest.source * F32(1.01)))
    out = raw.copy()
    if honest.dtype is DType.Q8_0:
        neighbours = unpack(layout, raw).codes.reshape(blocks, -1, 2)[:, :, ::-1]
        put_codes(layout, out, np.ascontiguousarray(neighbours).reshape(blocks, -1))
    else:
        at = np.unique(layout.codes[0].at)
        out[:, at] = (out[:, at] << 4) | (out[:, at] >> 4)
    yield honest.damage("nibbles (Q8_0: neighbours) swapped", out)
    yield honest.damage("shifted by one block", np.roll(raw, 1, 0))
