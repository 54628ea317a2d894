"""Sources, honest encodings and damaged blocks for the certificate's tests and benchmarks."""

import numpy as np
from ggml_oracle import ggml_encode
from numpy.typing import NDArray

from aprtui.compare.certificate import BlockFlags, Certifier
from aprtui.compare.certificate.types import CERTIFICATE_TYPES
from aprtui.core.dtypes import DType
from aprtui.core.statistics import CertificateScalars
from aprtui.formats.chunk import Chunk
from aprtui.formats.codecs.block_layout import LAYOUTS, get_scale, put_codes, put_offset, put_scale, unpack

F32 = np.float32
Floats = NDArray[np.float32]
Raw = NDArray[np.uint8]

BLOCK_TYPES = list(CERTIFICATE_TYPES)
GGML_TYPES = [dtype for dtype in BLOCK_TYPES if dtype is not DType.APR_Q4]
WEIGHTED_TYPES = [dtype for dtype, kind in CERTIFICATE_TYPES.items() if kind.takes_weights]


def distributions(rows: int, columns: int, seed: int = 0) -> dict[str, Floats]:
    """Eleven kinds of sources, float32 [rows, columns]."""
    r = np.random.default_rng(seed)

    def normal() -> Floats:
        return r.standard_normal((rows, columns)).astype(F32)

    outlier = normal() * F32(0.02)
    outlier[np.arange(rows), r.integers(0, columns, rows)] *= 100
    return {
        "gauss 1": normal(),
        "gauss .02": normal() * F32(0.02),
        "gauss 1e-4": normal() * F32(1e-4),
        "laplace": r.laplace(size=(rows, columns)).astype(F32) * F32(0.02),
        "t4": r.standard_t(4, (rows, columns)).astype(F32) * F32(0.02),
        "uniform": r.uniform(-0.05, 0.05, (rows, columns)).astype(F32),
        "constant": np.full((rows, columns), 0.731, F32),
        "outlier": outlier,
        "sparse": normal() * F32(0.02) * (r.random((rows, columns)) < 0.1),
        "sparse 3 %": normal() * F32(0.02) * (r.random((rows, columns)) < 0.03),
        "two values": np.sign(normal()) * F32(0.02),
    }


def importance(columns: int) -> dict[str, Floats]:
    """Importance matrices, float32 [columns]."""
    r = np.random.default_rng(5)
    return {
        "uniform": r.random(columns).astype(F32) + F32(1e-3),
        "lognormal(2)": np.exp(2 * r.standard_normal(columns)).astype(F32),
    }


def encode(dtype: DType, x: Floats, weights: Floats | None = None) -> Raw:
    """uint8 [blocks, nbytes]: ggml's encoder; AprQ4 by its formula (aprender's v2 writer)."""
    if dtype is not DType.APR_Q4:
        return ggml_encode(dtype, x, weights).reshape(-1, dtype.info.nbytes)
    blocks = np.ascontiguousarray(x, F32).reshape(-1, 32)
    raw = np.zeros((len(blocks), 18), np.uint8)
    scale = np.abs(blocks).max(1) / F32(7)
    put_scale(LAYOUTS[dtype], raw, scale.astype(np.float16))
    z = blocks / np.where(scale > 0, scale, 1)[:, None]
    codes = np.clip(np.sign(z) * np.floor(np.abs(z) + F32(0.5)), -8, 7) + 8
    put_codes(LAYOUTS[dtype], raw, codes.astype(np.uint8))
    return raw


def decode(dtype: DType, raw: Raw) -> Floats:
    """float32 [blocks, block]."""
    layout = LAYOUTS[dtype]
    parts = unpack(layout, raw)
    level = np.take(layout.levels, parts.codes).reshape(len(raw), layout.sub_blocks, layout.sub_block)
    step = parts.scale.astype(F32)[:, None] * parts.sub_scales
    offset = parts.offset.astype(F32)[:, None] * parts.sub_mins
    return (step[:, :, None] * level - offset[:, :, None]).reshape(len(raw), layout.block)


def codes_chosen_anew(dtype: DType, raw: Raw, x: Floats) -> Raw:
    """The same scales with the nearest codes: the best that any encoder can do with these scales."""
    layout, raw = LAYOUTS[dtype], raw.copy()
    parts = unpack(layout, raw)
    step = (parts.scale.astype(F32)[:, None] * parts.sub_scales)[:, :, None]
    offset = (parts.offset.astype(F32)[:, None] * parts.sub_mins)[:, :, None]
    with np.errstate(all="ignore"):
        z = np.where(step != 0, (x.reshape(len(raw), layout.sub_blocks, layout.sub_block) + offset) / step, 0)
    edges = CERTIFICATE_TYPES[dtype].code_cells[0][1:]
    put_codes(layout, raw, np.searchsorted(edges, z, side="right").astype(np.uint8).reshape(len(raw), -1))
    return raw


def scales_times(dtype: DType, raw: Raw, factor: float, *, with_offset: bool = True) -> Raw:
    """Every scale (and offset) multiplied, codes kept."""
    layout, out = LAYOUTS[dtype], raw.copy()
    put_scale(layout, out, (get_scale(layout, raw).astype(F32) * F32(factor)).astype(np.float16))
    if layout.offset_at is not None and with_offset:
        put_offset(layout, out, (unpack(layout, raw).offset.astype(F32) * F32(factor)).astype(np.float16))
    return out


def with_codes(dtype: DType, raw: Raw, codes: NDArray[np.int64]) -> Raw:
    """The same blocks with other codes."""
    out = raw.copy()
    put_codes(LAYOUTS[dtype], out, codes.astype(np.uint8))
    return out


def one_code_off(dtype: DType, raw: Raw, r: np.random.Generator) -> Raw:
    """One code of each block moved to a neighbouring level."""
    layout, every = LAYOUTS[dtype], np.arange(len(raw))
    codes = unpack(layout, raw).codes.astype(int)
    i = r.integers(0, layout.block, len(raw))
    codes[every, i] += np.where(codes[every, i] == len(layout.levels) - 1, -1, 1)
    return with_codes(dtype, raw, codes)


def through_bf16(x: Floats) -> Floats:
    """Rounded to bf16 and back."""
    bits = np.ascontiguousarray(x, F32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)).view(F32)


def as_chunk(dtype: DType, raw: Raw, rows: int, columns: int, scale: float = 1.0) -> Chunk:
    """Blocks as a chunk of all rows."""
    data = np.ascontiguousarray(raw, np.uint8).reshape(-1)
    row_bytes = 0 if dtype.info.flat or not rows else data.size // rows
    return Chunk(dtype, data, rows, columns, row_bytes, scale)


def certify(
    dtype: DType, x: Floats, raw: Raw, *, weights: bool = False, compiled: bool | None = None, scale: float = 1.0
) -> tuple[CertificateScalars, BlockFlags]:
    """The certificate of a tensor in one chunk, and the verdict on each block."""
    certifier = Certifier(dtype, importance_matrix=weights, compiled=compiled)
    measures = certifier.update(x, as_chunk(dtype, raw, x.shape[0], x.shape[1], scale))
    return certifier.result(), certifier.flags(measures)
