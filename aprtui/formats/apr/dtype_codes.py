"""Which element type a dtype code means: three numberings have been written, and only sizes tell them apart.

aprender's own numbers, GGML's numbers (realizar's converter), and what realizar wrote before 2026-01-30 (GH-191).
Codes 2, 3 and 6 to 14 mean different types in them. The size in the index, held against the number of elements,
decides; where two types fit, the program that wrote the file decides; where neither does, the file is refused.
Nothing is guessed.
"""

from __future__ import annotations

from math import prod
from pathlib import Path

from aprtui.core.dtypes import DType, stored_bytes
from aprtui.core.errors import FormatError
from aprtui.formats.apr.index import IndexRecord
from aprtui.formats.apr.origin import Writer

CODES: dict[DType, int] = {
    DType.F32: 0,
    DType.F16: 1,
    DType.BF16: 30,
    DType.F64: 3,
    DType.I32: 4,
    DType.I64: 5,
    DType.I8: 6,
    DType.U8: 7,
    DType.Q4_K: 12,
    DType.Q6_K: 14,
    DType.APR_Q4: 128,
    DType.APR_Q8: 129,
}
"""The codes that aprender writes today (`TensorDType` since GH-438, 2026-03-09)."""

# Read as well: BF16 was 2 until then, and 8 and 9 are older names of its own types.
_APRENDER = {code: dtype for dtype, code in CODES.items()} | {2: DType.BF16, 8: DType.APR_Q4, 9: DType.APR_Q8}

# `enum ggml_type`, whose numbers realizar's converter copies; nobody is known to have written 9 in this sense.
_GGML = {
    0: DType.F32,
    1: DType.F16,
    2: DType.Q4_0,
    3: DType.Q4_1,
    6: DType.Q5_0,
    7: DType.Q5_1,
    8: DType.Q8_0,
    9: DType.Q8_1,
    12: DType.Q4_K,
    13: DType.Q5_K,
    14: DType.Q6_K,
    30: DType.BF16,
}

_EARLY_REALIZAR = {
    2: DType.BF16,
    8: DType.Q4_K,
    9: DType.Q6_K,
    10: DType.Q8_0,
    11: DType.Q4_0,
    12: DType.Q5_K,
    13: DType.Q3_K,
    14: DType.Q2_K,
}


def decide_type(path: Path, record: IndexRecord, writer: Writer) -> DType:
    """The type of a tensor.

    The early numbering counts only where aprender did not write the file: in aprender's, a code whose size fits
    that numbering is a wrong code, not an old file.

    Returns:
        A type that fits the size; the only type of an unambiguous code even where it does not fit.

    Raises:
        FormatError: The code is unknown, or neither size nor writer decide.
    """
    tables = (_APRENDER, _GGML) if writer.is_aprender else (_APRENDER, _GGML, _EARLY_REALIZAR)
    candidates = list(dict.fromkeys(table[record.code] for table in tables if record.code in table))
    if not candidates:
        raise _undecided(path, record, f"dtype code {record.code} is not known")
    if len(candidates) == 1:
        return candidates[0]
    fitting = [dtype for dtype in candidates if record.size in fitting_sizes(dtype, record.shape)]
    if len(fitting) == 1:
        return fitting[0]
    by_writer = _of_writer(record, fitting, writer)
    if by_writer is not None:
        return by_writer
    names = " or ".join(dtype.value for dtype in (fitting or candidates))
    if fitting:
        raise _undecided(path, record, f"dtype code {record.code} with {record.size} bytes fits {names} alike")
    problem = f"dtype code {record.code} is {names}, and {record.size} bytes fit none for {record.elements} elements"
    raise _undecided(path, record, problem)


def meant_by_writer(record: IndexRecord, writer: Writer) -> DType | None:
    """The type that the program which wrote the file would read; None where that is not known."""
    return _APRENDER.get(record.code) if writer.is_aprender else None


def fitting_sizes(dtype: DType, shape: tuple[int, ...]) -> frozenset[int]:
    """Bytes that a tensor of a type may take: K-quants with each row padded, or flat over all rows."""
    if dtype.info.block == 256:
        return frozenset({padded_bytes(dtype, shape), flat_bytes(dtype, shape)})
    if stored_bytes(dtype, shape) is None:
        return frozenset()
    return frozenset({padded_bytes(dtype, shape)})


def padded_bytes(dtype: DType, shape: tuple[int, ...]) -> int:
    """Bytes that aprender writes: each row of a K-quant starts a new block; AprQ8 has no scale without elements."""
    if dtype is DType.APR_Q8 and 0 in shape:
        return 0
    size = stored_bytes(dtype, shape, padded_rows=True)
    assert size is not None
    return size


def flat_bytes(dtype: DType, shape: tuple[int, ...]) -> int:
    """Bytes where blocks run on across rows (aprender's `quantize_q4_k`)."""
    return -(-prod(shape) // dtype.info.block) * dtype.info.nbytes


def _of_writer(record: IndexRecord, fitting: list[DType], writer: Writer) -> DType | None:
    """The type of the writer's own numbering, where the size allows it or there is no size to go by."""
    if writer.is_aprender:
        own = [_APRENDER[record.code]] if record.code in _APRENDER else []
    elif writer is Writer.REALIZAR:
        # Its converter never writes aprender's own types, whatever its reader takes 8 and 9 for.
        own = [table[record.code] for table in (_GGML, _EARLY_REALIZAR) if record.code in table]
    else:
        own = []
    allowed = [dtype for dtype in dict.fromkeys(own) if not record.size or dtype in fitting]
    return allowed[0] if len(allowed) == 1 else None


def _undecided(path: Path, record: IndexRecord, problem: str) -> FormatError:
    shape = " x ".join(map(str, record.shape)) or "a scalar"
    place = f"tensor {record.name} ({shape}), code {record.code}, {record.size} bytes, offset {record.place}"
    return FormatError(problem, file=path, place=place, todo="convert the model again with a current apr")
