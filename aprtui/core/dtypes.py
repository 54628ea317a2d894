"""Every element type that SafeTensors, GGUF or APR can store, with its block geometry.

Sizes of GGML's block types: ggml-common.h (`block_*` structs); of AprQ4 and AprQ8: aprender's v2 writer
(one f32 scale for the whole tensor; 18 bytes for 32 elements).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import prod


class DType(StrEnum):
    """An element type as stored."""

    F64 = "F64"
    F32 = "F32"
    F16 = "F16"
    BF16 = "BF16"
    F8_E4M3 = "F8_E4M3"
    F8_E5M2 = "F8_E5M2"
    F8_E8M0 = "F8_E8M0"
    C64 = "C64"
    I64 = "I64"
    I32 = "I32"
    I16 = "I16"
    I8 = "I8"
    U64 = "U64"
    U32 = "U32"
    U16 = "U16"
    U8 = "U8"
    BOOL = "BOOL"
    F4 = "F4"
    F6_E2M3 = "F6_E2M3"
    F6_E3M2 = "F6_E3M2"
    Q4_0 = "Q4_0"
    Q4_1 = "Q4_1"
    Q5_0 = "Q5_0"
    Q5_1 = "Q5_1"
    Q8_0 = "Q8_0"
    Q8_1 = "Q8_1"
    Q2_K = "Q2_K"
    Q3_K = "Q3_K"
    Q4_K = "Q4_K"
    Q5_K = "Q5_K"
    Q6_K = "Q6_K"
    Q8_K = "Q8_K"
    IQ1_S = "IQ1_S"
    IQ1_M = "IQ1_M"
    IQ2_XXS = "IQ2_XXS"
    IQ2_XS = "IQ2_XS"
    IQ2_S = "IQ2_S"
    IQ3_XXS = "IQ3_XXS"
    IQ3_S = "IQ3_S"
    IQ4_NL = "IQ4_NL"
    IQ4_XS = "IQ4_XS"
    TQ1_0 = "TQ1_0"
    TQ2_0 = "TQ2_0"
    MXFP4 = "MXFP4"
    NVFP4 = "NVFP4"
    APR_Q4 = "AprQ4"
    APR_Q8 = "AprQ8"

    @property
    def info(self) -> DTypeInfo:
        """Block geometry and family."""
        return DTYPES[self]


class Family(StrEnum):
    """What kind of number a type stores."""

    FLOAT = "float"
    INTEGER = "integer"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class DTypeInfo:
    """Geometry of a type.

    Attributes:
        family: Float, integer, or blocks of codes that share a scale.
        block: Elements per block (1 for plain types).
        nbytes: Bytes per block.
        flat: Blocks run across row boundaries (apr's own types); GGML's types start every row anew.
        header: Bytes in front of the blocks (AprQ8's scale).
    """

    family: Family
    block: int
    nbytes: int
    flat: bool = False
    header: int = 0


def _plain(family: Family, **sizes: int) -> dict[DType, DTypeInfo]:
    return {DType(name): DTypeInfo(family, 1, nbytes) for name, nbytes in sizes.items()}


def _blocks(**geometry: tuple[int, int]) -> dict[DType, DTypeInfo]:
    return {DType(name): DTypeInfo(Family.BLOCK, block, nbytes) for name, (block, nbytes) in geometry.items()}


DTYPES: dict[DType, DTypeInfo] = {
    **_plain(Family.FLOAT, F64=8, F32=4, F16=2, BF16=2, F8_E4M3=1, F8_E5M2=1, F8_E8M0=1, C64=8),
    **_plain(Family.INTEGER, I64=8, I32=4, I16=2, I8=1, U64=8, U32=4, U16=2, U8=1, BOOL=1),
    # SafeTensors packs these below a byte; block = the fewest elements that fill whole bytes.
    **_blocks(F4=(2, 1), F6_E2M3=(4, 3), F6_E3M2=(4, 3)),
    **_blocks(Q4_0=(32, 18), Q4_1=(32, 20), Q5_0=(32, 22), Q5_1=(32, 24), Q8_0=(32, 34), Q8_1=(32, 36)),
    **_blocks(Q2_K=(256, 84), Q3_K=(256, 110), Q4_K=(256, 144), Q5_K=(256, 176), Q6_K=(256, 210), Q8_K=(256, 292)),
    **_blocks(IQ1_S=(256, 50), IQ1_M=(256, 56), IQ2_XXS=(256, 66), IQ2_XS=(256, 74), IQ2_S=(256, 82)),
    **_blocks(IQ3_XXS=(256, 98), IQ3_S=(256, 110), IQ4_NL=(32, 18), IQ4_XS=(256, 136)),
    **_blocks(TQ1_0=(256, 54), TQ2_0=(256, 66), MXFP4=(32, 17), NVFP4=(64, 36)),
    DType.APR_Q4: DTypeInfo(Family.BLOCK, 32, 18, flat=True),
    DType.APR_Q8: DTypeInfo(Family.BLOCK, 1, 1, flat=True, header=4),
}


def stored_bytes(dtype: DType, shape: tuple[int, ...], *, padded_rows: bool = False) -> int | None:
    """Bytes that a tensor of this type and shape takes, or None where its rows do not fill whole blocks.

    Args:
        dtype: The stored type.
        shape: Row-major shape; () is a scalar.
        padded_rows: Each row is zero-padded to whole blocks (apr's K-quants).
    """
    info = dtype.info
    elements = prod(shape)
    if info.flat:
        return info.header + -(-elements // info.block) * info.nbytes
    if info.block == 1:
        return elements * info.nbytes
    columns = shape[-1] if shape else 1
    rows = elements // columns if columns else 0
    if columns % info.block and not padded_rows:
        return None
    return rows * -(-columns // info.block) * info.nbytes
