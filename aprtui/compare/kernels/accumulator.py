"""The one way to measure a tensor: hand in its chunks, take out its statistics record."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import cache

from aprtui.compare.kernels.reference import accumulate_reference
from aprtui.compare.kernels.state import State, finish
from aprtui.compare.kernels.ulp import UlpFormat, ulp_format
from aprtui.core.dtypes import DType
from aprtui.core.errors import AprtuiError
from aprtui.core.statistics import CertificateScalars, StatisticsRecord
from aprtui.formats.chunk import Chunk

Accumulate = Callable[[State, Chunk, Chunk, int, UlpFormat], None]


class AccumulatorKind(Enum):
    """Which implementation measures; both fill the record alike."""

    AUTOMATIC = "the compiled kernel where it can, else the reference"
    REFERENCE = "numpy in float64"
    COMPILED = "numba; an error where it is missing"


class Accumulator:
    """Statistics of a growing span of elements of one tensor.

    Attributes:
        state: What was measured so far; merge states of spans with `merge`.
    """

    def __init__(self, form: UlpFormat, kind: AccumulatorKind) -> None:
        self.state = State()
        self._form = form
        self._kind = kind

    def update(self, a: Chunk, b: Chunk, first_element: int) -> None:
        """Measure two chunks.

        Args:
            a: Source.
            b: Target; as many elements, its rows may be cut differently.
            first_element: Flat row-major index of the chunks' first element in the tensor.

        Raises:
            AprtuiError: The chunks do not match or hold fewer bytes than they say.
        """
        if a.elements != b.elements:
            raise AprtuiError(f"{a.elements} elements compared with {b.elements}")
        for chunk in (a, b):
            _check_size(chunk)
        if a.elements:
            self._implementation(a, b)(self.state, a, b, first_element, self._form)

    def record(self, certificate: CertificateScalars | None = None) -> StatisticsRecord:
        """The record of everything measured."""
        return finish(self.state, certificate)

    def _implementation(self, a: Chunk, b: Chunk) -> Accumulate:
        if self._kind is AccumulatorKind.REFERENCE:
            return accumulate_reference
        if self._kind is AccumulatorKind.AUTOMATIC and not numba_installed():
            return accumulate_reference
        from aprtui.compare.kernels import fast  # noqa: PLC0415 - numba takes half a second to import

        return fast.accumulate_fast if fast.accepts(a, b) else accumulate_reference


def new_accumulator(b_dtype: DType, kind: AccumulatorKind = AccumulatorKind.AUTOMATIC) -> Accumulator:
    """An empty accumulator for a target of this type.

    Args:
        b_dtype: Stored type of the target, in whose ULP errors are measured (also where its chunks are decoded).
        kind: Which implementation measures. 64-bit types are always measured by the reference.
    """
    return Accumulator(ulp_format(b_dtype), kind)


@cache
def numba_installed() -> bool:
    """Whether the compiled kernel can be used."""
    try:
        import numba  # noqa: F401, PLC0415 - optional, and slow to import
    except ImportError:
        return False
    return True


def _check_size(chunk: Chunk) -> None:
    """Refuse chunks whose bytes end early: compiled code does not check every index.

    Raises:
        AprtuiError: With the sizes.
    """
    info = chunk.dtype.info
    padded = chunk.row_bytes > 0 and not info.flat
    expected = chunk.rows * chunk.row_bytes if padded else -(-chunk.elements // info.block) * info.nbytes
    row = -(-chunk.columns // info.block) * info.nbytes
    if chunk.data.size != expected or (padded and chunk.row_bytes != row):
        raise AprtuiError(
            f"a chunk of {chunk.rows} x {chunk.columns} {chunk.dtype} holds {chunk.data.size} bytes, not {expected}"
        )
