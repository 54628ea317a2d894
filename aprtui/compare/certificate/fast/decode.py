"""Levels and sub-scales of one stored block, written into small arrays that stay in the first-level cache.

The same bit positions as aprtui.formats.codecs.block_layout, spelled out as loops that compile to vector code.
"""

from __future__ import annotations

import numpy as np

from aprtui.compare.certificate.fast.compiled import Bytes, Floats, compiled

Q8_0, Q4_0, Q5_0, Q4_1, Q5_1, APR_Q4, IQ4_NL, IQ4_XS, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K = range(13)
"""Numbers of the types within compiled code."""

_F = np.float32
_B = np.uint8


@compiled
def q8_0(raw: Bytes, code: Bytes) -> None:
    """Codes count from 0, as in the layout: the stored int8 plus 128."""
    for j in range(32):
        code[j] = raw[2 + j] ^ _B(128)


@compiled
def nibble_halves(raw: Bytes, at: int, code: Bytes) -> None:
    """32 codes: low nibbles of 16 bytes, then high nibbles."""
    packed = raw[at : at + 16]
    for j in range(16):
        code[j] = packed[j] & _B(15)
    high = code[16:32]
    for j in range(16):
        high[j] = packed[j] >> _B(4)


@compiled
def nibble_pairs(raw: Bytes, at: int, code: Bytes) -> None:
    """32 codes: low and high nibble of each byte in turn."""
    packed = raw[at : at + 16]
    for j in range(16):
        code[2 * j] = packed[j] & _B(15)
        code[2 * j + 1] = packed[j] >> _B(4)


@compiled
def fifth_bits(raw: Bytes, at: int, code: Bytes) -> None:
    """Add bit 4 of 32 codes, one bit each of 4 bytes."""
    bits = (
        np.uint32(raw[at])
        | (np.uint32(raw[at + 1]) << np.uint32(8))
        | (np.uint32(raw[at + 2]) << np.uint32(16))
        | (np.uint32(raw[at + 3]) << np.uint32(24))
    )
    for j in range(32):
        code[j] |= _B(((bits >> np.uint32(j)) & np.uint32(1)) << np.uint32(4))


@compiled
def nibble_runs(raw: Bytes, at: int, code: Bytes) -> None:
    """256 codes: 32 bytes hold 32 codes in the low nibbles and the next 32 in the high ones."""
    for run in range(4):
        packed = raw[at + 32 * run : at + 32 * run + 32]
        low = code[64 * run : 64 * run + 32]
        high = code[64 * run + 32 : 64 * run + 64]
        for j in range(32):
            low[j] = packed[j] & _B(15)
            high[j] = packed[j] >> _B(4)


@compiled
def two_bit_runs(raw: Bytes, at: int, code: Bytes) -> None:
    """256 codes of two bits: 32 bytes hold four runs of 32."""
    for half in range(2):
        packed = raw[at + 32 * half : at + 32 * half + 32]
        for run in range(4):
            out = code[128 * half + 32 * run : 128 * half + 32 * run + 32]
            shift = _B(2 * run)
            for j in range(32):
                out[j] = (packed[j] >> shift) & _B(3)


@compiled
def bit_plane(raw: Bytes, at: int, up: int, code: Bytes) -> None:
    """Add one bit of 256 codes: run r of 32 codes in bit r of 32 bytes."""
    packed = raw[at : at + 32]
    for run in range(8):
        out = code[32 * run : 32 * run + 32]
        shift, place = _B(run), _B(up)
        for j in range(32):
            out[j] |= ((packed[j] >> shift) & _B(1)) << place


@compiled
def q6_k(raw: Bytes, code: Bytes) -> None:
    """256 codes of six bits: low nibbles in 128 bytes, top bits in 64."""
    for half in range(2):
        low = raw[64 * half : 64 * half + 64]
        top = raw[128 + 32 * half : 160 + 32 * half]
        out = code[128 * half : 128 * half + 128]
        for j in range(32):
            out[j] = (low[j] & _B(15)) | ((top[j] & _B(3)) << _B(4))
            out[32 + j] = (low[32 + j] & _B(15)) | (((top[j] >> _B(2)) & _B(3)) << _B(4))
            out[64 + j] = (low[j] >> _B(4)) | (((top[j] >> _B(4)) & _B(3)) << _B(4))
            out[96 + j] = (low[32 + j] >> _B(4)) | ((top[j] >> _B(6)) << _B(4))


@compiled
def decode_codes(kind: int, raw: Bytes, code: Bytes) -> None:
    """Codes of one block.

    Args:
        kind: Number of the type.
        raw: uint8 [nbytes].
        code: uint8 [256]; the first `block` items are written.
    """
    if kind == Q8_0:
        q8_0(raw, code)
    elif kind == APR_Q4:
        nibble_pairs(raw, 2, code)
    elif kind in (Q4_0, IQ4_NL):
        nibble_halves(raw, 2, code)
    elif kind == Q5_0:
        nibble_halves(raw, 6, code)
        fifth_bits(raw, 2, code)
    elif kind == Q4_1:
        nibble_halves(raw, 4, code)
    elif kind == Q5_1:
        nibble_halves(raw, 8, code)
        fifth_bits(raw, 4, code)
    elif kind == IQ4_XS:
        for run in range(8):
            nibble_halves(raw, 8 + 16 * run, code[32 * run : 32 * run + 32])
    elif kind == Q2_K:
        two_bit_runs(raw, 16, code)
    elif kind == Q3_K:
        two_bit_runs(raw, 32, code)
        bit_plane(raw, 0, 2, code)
    elif kind == Q4_K:
        nibble_runs(raw, 16, code)
    elif kind == Q5_K:
        nibble_runs(raw, 48, code)
        bit_plane(raw, 16, 4, code)
    else:
        q6_k(raw, code)


@compiled
def decode_sub_scales(kind: int, raw: Bytes, scale: Floats, minimum: Floats) -> None:
    """Integer sub-scales and sub-mins of one block; 1 where the type has none.

    Args:
        kind: Number of the type.
        raw: uint8 [nbytes].
        scale: float32 [16], written.
        minimum: float32 [16], written.
    """
    if kind in (Q4_K, Q5_K):
        s = raw[4:16]
        for j in range(4):
            scale[j] = _F(s[j] & _B(63))
            minimum[j] = _F(s[4 + j] & _B(63))
            scale[4 + j] = _F((s[8 + j] & _B(15)) | ((s[j] >> _B(6)) << _B(4)))
            minimum[4 + j] = _F((s[8 + j] >> _B(4)) | ((s[4 + j] >> _B(6)) << _B(4)))
    elif kind == Q6_K:
        for j in range(16):
            scale[j] = _F(np.int8(raw[192 + j]))
    elif kind == Q2_K:
        for j in range(16):
            scale[j] = _F(raw[j] & _B(15))
            minimum[j] = _F(raw[j] >> _B(4))
    elif kind == Q3_K:
        for j in range(16):
            low = (raw[96 + j % 8] >> _B(4 * (j // 8))) & _B(15)
            top = (raw[104 + j % 4] >> _B(2 * (j // 4))) & _B(3)
            scale[j] = _F(low | (top << _B(4))) - _F(32)
    elif kind == IQ4_XS:
        for j in range(8):
            low = (raw[4 + j // 2] >> _B(4 * (j % 2))) & _B(15)
            top = (raw[2 + j // 4] >> _B(2 * (j % 4))) & _B(3)
            scale[j] = _F(low | (top << _B(4))) - _F(32)
    else:
        scale[0] = _F(1)
        minimum[0] = _F(1)
