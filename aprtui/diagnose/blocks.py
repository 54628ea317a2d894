"""Blocks taken apart and held against an honest encoding of the source, part by part.

Bits that are lost cannot be put back by a view. What proves such a cause is that the product passes once the damaged
part, and nothing else, is taken from the honest encoding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aprtui.core.dtypes import DType
from aprtui.diagnose.hypothesis import Step
from aprtui.diagnose.samples import floats
from aprtui.formats.codecs import ENCODABLE, encode
from aprtui.formats.codecs.block_layout import (
    LAYOUTS,
    BlockLayout,
    get_codes,
    get_scale,
    get_sub_mins,
    get_sub_scales,
    put_codes,
    put_scale,
    put_sub_mins,
    put_sub_scales,
)
from aprtui.formats.layout.plan import TensorPair
from aprtui.formats.views import View
from aprtui.formats.views.base import Indices
from aprtui.formats.views.edited import BlocksEdited, Raw

Restore = Callable[[BlockLayout, Raw, Raw], None]
"""Takes a part of the honest blocks (third) into the product's (second), in place."""

_ALMOST_ALL = 0.97
_ROWS = 128
_LOW_BITS = np.uint8(15)
_SMALLEST_NORMAL = np.float16(2**-14)
_SAME_RATIO = 0.01


@dataclass(frozen=True, slots=True)
class DamagedPart:
    """A part of every block that is wrong in one way.

    Attributes:
        step: The cause.
        repaired: The product with that part taken from an honest encoding.
    """

    step: Step
    repaired: View


def damaged_part(pair: TensorPair, rows: Indices) -> DamagedPart | None:
    """The part that differs from an honest encoding on some rows; None where several do, or none can be told."""
    dtype, view = pair.view.dtype, pair.view
    layout = LAYOUTS.get(dtype)
    if layout is None or dtype not in ENCODABLE or view.columns % layout.block:
        return None
    # Scales that are small are rare: more rows than other hypotheses need.
    rows = np.union1d(rows, np.linspace(0, view.rows - 1, min(view.rows, _ROWS)).astype(np.int64))
    honest = encode(dtype, floats(pair.source, rows)).reshape(-1, layout.nbytes)
    found = view.gather(rows).data.reshape(-1, layout.nbytes)
    named = _name(layout, found, honest)
    if named is None:
        return None
    step, restore = named
    per_row = view.columns // layout.block

    def change(raw: Raw, numbers: Indices) -> Raw:
        needed, inverse = np.unique(numbers // per_row, return_inverse=True)
        blocks = encode(dtype, floats(pair.source, needed)).reshape(len(needed), per_row, layout.nbytes)
        restore(layout, raw, np.ascontiguousarray(blocks[inverse, numbers % per_row]))
        return raw

    return DamagedPart(step, BlocksEdited(view, change))


def _name(layout: BlockLayout, found: Raw, honest: Raw) -> tuple[Step, Restore] | None:
    codes, honest_codes = get_codes(layout, found), get_codes(layout, honest)
    if not _mostly(codes == honest_codes):
        if len(layout.levels) > 16 and not (codes > _LOW_BITS).any() and _mostly(codes == honest_codes & _LOW_BITS):
            return Step("weights.high_bits_lost", f"every code of {layout.dtype} is below 16"), _restore_codes
        return None
    scales, honest_scales = get_sub_scales(layout, found), get_sub_scales(layout, honest)
    if layout.dtype in (DType.Q4_K, DType.Q5_K) and not _mostly(scales == honest_scales):
        early, late = scales[:, :4], scales[:, 4:]
        if _mostly(early == honest_scales[:, :4]) and _mostly(late == honest_scales[:, 4:] % 16):
            return Step("weights.late_scales_unpacked", f"in {layout.dtype}"), _restore_sub_scales
        return None
    return _name_of_scale(get_scale(layout, found), get_scale(layout, honest))


def _name_of_scale(scale: NDArray[np.float16], honest: NDArray[np.float16]) -> tuple[Step, Restore] | None:
    small = np.abs(honest) < _SMALLEST_NORMAL
    if (small & (honest != 0)).any() and not scale[small].any() and _mostly(scale[~small] == honest[~small]):
        return Step("weights.small_scales_zeroed", "scales below 6.1e-5 are zero"), _restore_scale
    usable = honest != 0
    if not usable.any():
        return None
    ratio = scale[usable].astype(np.float64) / honest[usable].astype(np.float64)
    middle = float(np.median(ratio))
    if abs(middle - 1) > _SAME_RATIO and _mostly(np.abs(ratio / middle - 1) < _SAME_RATIO):
        return Step("weights.block_scales_changed", f"scales times {middle:.3g}"), _restore_scale
    return None


def _mostly(equal: NDArray[np.bool_]) -> bool:
    return bool(equal.mean() >= _ALMOST_ALL) if equal.size else True


def _restore_codes(layout: BlockLayout, raw: Raw, honest: Raw) -> None:
    put_codes(layout, raw, get_codes(layout, honest))


def _restore_sub_scales(layout: BlockLayout, raw: Raw, honest: Raw) -> None:
    put_sub_scales(layout, raw, get_sub_scales(layout, honest))
    put_sub_mins(layout, raw, get_sub_mins(layout, honest))


def _restore_scale(layout: BlockLayout, raw: Raw, honest: Raw) -> None:
    put_scale(layout, raw, get_scale(layout, honest))
