"""Measures blocks with the compiled passes, and gives the few that they leave open to the numpy reference."""

from __future__ import annotations

from dataclasses import fields
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from aprtui.compare.certificate import reference
from aprtui.compare.certificate.blocks import Blocks
from aprtui.compare.certificate.fast import decode
from aprtui.compare.certificate.fast.compiled import Work
from aprtui.compare.certificate.fast.elements import RUN
from aprtui.compare.certificate.fast.formula import formula_blocks
from aprtui.compare.certificate.fast.searched import searched_blocks
from aprtui.compare.certificate.intervals import scale_before_rounding, trial_line, trial_scale
from aprtui.compare.certificate.measures import BlockMeasures, ClauseMeasures, Flags
from aprtui.compare.certificate.types import CertificateType
from aprtui.core.dtypes import DType
from aprtui.formats.codecs.block_layout import get_scale

Array = TypeVar("Array", bound=NDArray[Any])

HALF = np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float32)
"""Value of each f16."""

SMALLEST_NORMAL_BITS = 0x0400
"""Bits of the smallest normal f16."""

_NUMBERS = {
    DType.Q8_0: decode.Q8_0,
    DType.Q4_0: decode.Q4_0,
    DType.Q5_0: decode.Q5_0,
    DType.Q4_1: decode.Q4_1,
    DType.Q5_1: decode.Q5_1,
    DType.APR_Q4: decode.APR_Q4,
    DType.IQ4_NL: decode.IQ4_NL,
    DType.IQ4_XS: decode.IQ4_XS,
    DType.Q2_K: decode.Q2_K,
    DType.Q3_K: decode.Q3_K,
    DType.Q4_K: decode.Q4_K,
    DType.Q5_K: decode.Q5_K,
    DType.Q6_K: decode.Q6_K,
}


@lru_cache
def facts_of(kind: CertificateType, weights: bool) -> NDArray[np.float64]:
    """What compiled code reads of a type, float64 [18].

    0 plain steps in the range, 1 symmetric, 2 scale has the sign opposite to the extreme, 3 largest level, 4 largest
    sub-scale, 5 largest sub-min, 6 lowest and 7 highest level, 8 code of level 0, 9 half the largest gap between
    levels, 10 levels are uneven, 11 norm, 12 sub-blocks, 13 byte of the scale, 14 byte of the offset, 15 sign of the
    stored offset, 16 largest honest step without and 17 with an importance matrix (0: not measured).
    """
    layout = kind.layout
    head = [kind.steps, kind.symmetric, kind.opposite_sign, kind.largest, kind.top_scale, kind.top_min]
    levels = [kind.lowest, kind.highest, -kind.lowest, kind.half_gap, kind.uneven]
    where = [layout.sub_blocks, layout.scale_at, layout.offset_at or 0, -1 if layout.offset_added else 1]
    coarse = [kind.coarse, kind.coarse_with_weights if weights else 0]
    return np.array([*head, *levels, kind.norm.value, *where, *coarse], np.float64)


def measure_blocks(
    kind: CertificateType, source: NDArray[np.float32], raw: NDArray[np.uint8], *, importance_matrix: bool
) -> BlockMeasures:
    """Measure every clause on some blocks; see `reference.measure_blocks`."""
    weights = importance_matrix and kind.takes_weights
    source, raw = _read_only(source), _read_only(np.ascontiguousarray(raw))
    magnitude = get_scale(kind.layout, raw).view(np.uint16) & np.uint16(0x7FFF)
    zero = magnitude == 0
    subnormal = (magnitude < SMALLEST_NORMAL_BITS) & ~zero
    weighted: ClauseMeasures | None = None
    if kind.formula:
        plain, clipped, decided = _formula(kind, source, raw)
        if weights:
            _, weighted, _, decided_with = _searched(kind, source, raw, weights=True)
            decided = decided & decided_with
    else:
        plain, weighted, clipped, decided = _searched(kind, source, raw, weights=weights)
    measured = BlockMeasures(plain, weighted, clipped, zero, subnormal)
    rest = np.flatnonzero(~decided)
    if len(rest):
        exact = reference.measure_blocks(kind, source[rest], raw[rest], importance_matrix=importance_matrix)
        _put_clauses(measured.plain, exact.plain, rest)
        if measured.weighted is not None and exact.weighted is not None:
            _put_clauses(measured.weighted, exact.weighted, rest)
        measured.clipped[rest] = exact.clipped
    return measured


def _read_only(array: Array) -> Array:
    """A view that cannot be written: mapped files give such arrays, and one type is one compilation."""
    view = array.view()
    view.setflags(write=False)
    return view


def _put_clauses(into: ClauseMeasures, exact: ClauseMeasures, index: NDArray[np.intp]) -> None:
    for field in fields(ClauseMeasures):
        getattr(into, field.name)[index] = getattr(exact, field.name)


def _formula(
    kind: CertificateType, source: NDArray[np.float32], raw: NDArray[np.uint8]
) -> tuple[ClauseMeasures, NDArray[np.int64], Flags]:
    blocks = len(source)
    out, flags = np.zeros((3, blocks)), np.zeros((5, blocks), np.bool_)
    number = _NUMBERS[kind.layout.dtype]
    formula_blocks(number, source, raw, HALF, facts_of(kind, False), _work(kind), out, flags)
    plain = ClauseMeasures(
        codes=~(out[0] <= 0),
        scales=~flags[1],
        scales_cut=~flags[2],
        excusable=np.zeros(blocks, np.bool_),
        inexcusable=~flags[1],
        zeros=flags[3],
        other_scale=flags[4],
        code_steps=out[0],
        scale_ulp=out[1],
        error_ratio=np.zeros(blocks),
        step_ratio=np.zeros(blocks),
    )
    return plain, out[2].astype(np.int64), flags[0]


def _searched(
    kind: CertificateType, source: NDArray[np.float32], raw: NDArray[np.uint8], *, weights: bool
) -> tuple[ClauseMeasures, ClauseMeasures | None, NDArray[np.int64], Flags]:
    """Clauses without and with an importance matrix, clipped elements, and the blocks that are decided.

    Of formula types only those with an importance matrix mean anything.
    """
    blocks = len(source)
    out, flags = np.zeros((6, blocks)), np.zeros((2, blocks), np.bool_)
    number, facts = _NUMBERS[kind.layout.dtype], facts_of(kind, weights)
    parts = source.reshape(blocks, kind.layout.sub_blocks, kind.layout.sub_block)
    runs = parts.reshape(*parts.shape[:2], kind.layout.sub_block // RUN, RUN)
    bounds_work = np.empty((7, kind.layout.sub_blocks))
    searched_blocks(number, parts, runs, raw, HALF, _table(kind), facts, _work(kind), bounds_work, out, flags)
    decided = flags[1] if kind.formula else flags[0] & flags[1] if weights else flags[0]
    steps, other = out[0], np.zeros(blocks, np.bool_)
    open_codes = np.flatnonzero(decided & ~(steps <= 0))
    if len(open_codes):
        rest = Blocks.unpacked(kind, source[open_codes], raw[open_codes])
        fits = open_codes[_other_scale_exists(kind, rest)]
        steps[fits], other[fits] = 0, True
    plain = _searched_clauses(steps, other, out[2], out[3])
    weighted = _searched_clauses(steps.copy(), other.copy(), out[4], out[5]) if weights else None
    return plain, weighted, out[1].astype(np.int64), decided


def _other_scale_exists(kind: CertificateType, blocks: Blocks) -> Flags:
    with np.errstate(all="ignore"):
        if not kind.formula:
            return scale_before_rounding(blocks)
        return trial_scale(blocks) if kind.symmetric else trial_line(blocks)


def _searched_clauses(
    steps: NDArray[np.float64], other: Flags, error: NDArray[np.float64], step: NDArray[np.float64]
) -> ClauseMeasures:
    """Clauses of blocks within their bounds; the others are filled in by the reference."""
    none: list[Any] = [np.zeros(len(steps), np.bool_) for _ in range(5)]
    return ClauseMeasures(
        codes=~(steps <= 0),
        scales=none[0],
        scales_cut=none[1],
        excusable=none[2],
        inexcusable=none[3],
        zeros=none[4],
        other_scale=other,
        code_steps=steps,
        scale_ulp=np.zeros(len(steps)),
        error_ratio=error,
        step_ratio=step,
    )


def _work(kind: CertificateType) -> Work:
    block = kind.layout.block
    steps, offsets, fit = np.zeros(16, np.float32), np.zeros(16, np.float32), np.zeros(7, np.float32)
    return np.empty(block, np.uint8), np.empty(block, np.float32), steps, offsets, fit


@lru_cache
def _table(kind: CertificateType) -> NDArray[np.float32]:
    """Levels, lower and upper edges of their cells, float32 [3, codes]; [3, 0] where levels are one step apart."""
    if not kind.uneven:
        return np.zeros((3, 0), np.float32)
    return np.stack([kind.layout.levels, *kind.code_cells]).astype(np.float32)
