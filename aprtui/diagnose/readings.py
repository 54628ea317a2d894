"""Other ways to read the bytes of a product's tensor: another type, another order of bits, another place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from aprtui.core.dtypes import DType, Family
from aprtui.diagnose.hypothesis import Candidate, Context, Step
from aprtui.formats.layout.plan import TensorPair
from aprtui.formats.views import Packing, Reblocked, Reinterpreted, Stored, packings_of

_SAME_SIZE: dict[DType, tuple[DType, ...]] = {
    DType.F16: (DType.BF16,),
    DType.BF16: (DType.F16,),
    DType.Q4_0: (DType.IQ4_NL, DType.APR_Q4),
    DType.IQ4_NL: (DType.Q4_0, DType.APR_Q4),
    DType.APR_Q4: (DType.Q4_0, DType.IQ4_NL),
    DType.Q4_K: (DType.APR_Q4, DType.Q4_0),
}
"""Types that take the same room for the same elements, by the type of the label."""

_CAUSE_OF_PACKING = {
    Packing.NIBBLES_SWAPPED: "weights.nibbles_swapped",
    Packing.HALVES_TO_PAIRS: "weights.codes_interleaved",
    Packing.PAIRS_TO_HALVES: "weights.codes_interleaved",
    Packing.HIGH_BITS_REVERSED: "weights.high_bits_misplaced",
    Packing.SUB_SCALES_FORWARD: "weights.sub_scales_moved",
    Packing.SUB_SCALES_BACK: "weights.sub_scales_moved",
    Packing.SCALES_AND_MINS: "weights.scales_and_mins_swapped",
    Packing.SCALE_AND_OFFSET: "weights.scales_and_mins_swapped",
}

CODES = frozenset({"weights.label", "weights.byte_order", "weights.data_offset", *_CAUSE_OF_PACKING.values()})
"""Causes that `readings` names."""

_DISTANCES = (64, -64, 32, -32, 4, -4, 8, -8, 16, -16, 128, -128, 256, -256, 512, 1024, 2048, 4096)
"""Bytes by which all data may lie off: alignments, and headers that were counted twice or not at all."""


def readings(pair: TensorPair, context: Context) -> Iterator[Candidate]:
    """The stored tensor read otherwise, cheapest first; not as it is."""
    stored = pair.view
    dtype = stored.dtype
    for other in _SAME_SIZE.get(dtype, ()):
        if stored.columns % other.info.block == 0:
            yield Candidate((Step("weights.label", f"{other} labelled {dtype}"),), Reinterpreted(stored, other))
    if dtype.info.family is Family.FLOAT and dtype.info.nbytes > 1:
        yield Candidate((Step("weights.byte_order"),), Reblocked(stored, Packing.BYTE_ORDER))
    for packing in packings_of(dtype):
        yield Candidate((Step(_CAUSE_OF_PACKING[packing], packing.value),), Reblocked(stored, packing))
    yield from _other_places(pair)


def _other_places(pair: TensorPair) -> Iterator[Candidate]:
    """The same number of bytes from another offset of the file."""
    if not isinstance(pair.view, Stored):
        return
    tensor = pair.target
    size = tensor.file.stat().st_size
    for distance in _DISTANCES:
        start = tensor.offset + distance
        if start >= 0 and start + tensor.nbytes <= size:
            step = Step(
                "weights.data_offset", f"data lie {abs(distance)} bytes {'behind' if distance > 0 else 'before'}"
            )
            yield Candidate((step,), Stored(replace(tensor, offset=start)))
