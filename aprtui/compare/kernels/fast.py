"""Chunks to the compiled kernel: which types it decodes itself, and how two geometries are walked together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aprtui.compare.kernels import state as at
from aprtui.compare.kernels.compiled import compare_rows
from aprtui.compare.kernels.dispatch import KIND
from aprtui.compare.kernels.state import State
from aprtui.compare.kernels.ulp import UlpFormat
from aprtui.core.dtypes import DType
from aprtui.formats.chunk import Chunk
from aprtui.formats.codecs import decode_chunk

_WIDE = frozenset({DType.F64, DType.I64, DType.U64, DType.I32, DType.U32, DType.C64})
"""Types whose values do not fit into float32, in which the compiled kernel computes."""


def accepts(a: Chunk, b: Chunk) -> bool:
    """Whether the values of both chunks fit into float32."""
    return a.dtype not in _WIDE and b.dtype not in _WIDE


def accumulate_fast(state: State, a: Chunk, b: Chunk, first_element: int, form: UlpFormat) -> None:
    """Add the statistics of two chunks; the same result as `accumulate_reference`, sums within rounding.

    Args:
        state: Taken further, in place.
        a: Source; types without a compiled decoder are decoded to float32 first.
        b: Target; likewise.
        first_element: Flat row-major index of the chunks' first element in the tensor.
        form: The target's ULP.
    """
    columns = _common_row(a, b)
    a, b = _readable(a, columns), _readable(b, columns)
    part = State()
    rows = a.elements // columns if columns else 0
    compare_rows(
        _aligned(a),
        _aligned(b),
        np.array([KIND[a.dtype], _stride(a, columns), KIND[b.dtype], _stride(b, columns)], np.int64),
        np.array([a.scale, b.scale], np.float32),
        rows,
        columns,
        first_element,
        np.array([form.mantissa_bits, form.least_exponent, form.rounds], np.int64),
        part.sums,
        part.counts,
    )
    part.counts[at.ELEMENTS] = a.elements
    state.add(part)


def _is_padded(chunk: Chunk) -> bool:
    info = chunk.dtype.info
    return chunk.row_bytes > 0 and not info.flat and chunk.columns % info.block > 0


def _common_row(a: Chunk, b: Chunk) -> int:
    """Elements that can be walked without a break: a row where either side pads its rows, else the whole chunk."""
    if _is_padded(a):
        return a.columns
    return b.columns if _is_padded(b) else a.elements


def _readable(chunk: Chunk, columns: int) -> Chunk:
    """The chunk, decoded to float32 where the kernel cannot read its type or its rows of this length."""
    whole = chunk.columns == columns if _is_padded(chunk) else _rows_start_blocks(chunk, columns)
    if chunk.dtype in KIND and whole:
        return chunk
    values = np.ascontiguousarray(decode_chunk(chunk), np.float32)
    return Chunk(DType.F32, values.reshape(-1).view(np.uint8), chunk.rows, chunk.columns, 4 * chunk.columns)


def _rows_start_blocks(chunk: Chunk, columns: int) -> bool:
    return columns == chunk.elements or columns % chunk.dtype.info.block == 0


def _stride(chunk: Chunk, columns: int) -> int:
    info = chunk.dtype.info
    return -(-columns // info.block) * info.nbytes


def _aligned(chunk: Chunk) -> NDArray[np.uint8]:
    """The chunk's bytes, moved to where compiled code may read whole words (SafeTensors may start anywhere)."""
    info = chunk.dtype.info
    whole_words = info.block > 1 or chunk.data.ctypes.data % info.nbytes == 0
    return chunk.data if whole_words else chunk.data.copy()
