"""Small integers packed into the bytes of a block: where they are, and how to read and write many blocks at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class BitField:
    """Bits of a list of small integers: item i has `((block[at[i]] >> shift[i]) & mask) << up`.

    Attributes:
        at: intp [items]; byte of each item within the block.
        shift: uint8 [items]; lowest bit of each item within its byte.
        mask: The bits of an item after the shift.
        up: Where these bits stand in the integer; an integer may be spread over several fields.
    """

    at: NDArray[np.intp]
    shift: NDArray[np.uint8]
    mask: int
    up: int = 0


def bit_field(
    items: int, at: Callable[[Index], Index], shift: Callable[[Index], Index], mask: int, up: int = 0
) -> BitField:
    """A field whose byte and shift are functions of the item's number.

    Args:
        items: Number of items.
        at: Byte of item i.
        shift: Lowest bit of item i within its byte.
        mask: The bits of an item after the shift.
        up: Where these bits stand in the integer.
    """
    index = np.arange(items, dtype=np.intp)
    return BitField(at(index), shift(index).astype(np.uint8), mask, up)


def get_bits(raw: NDArray[np.uint8], fields: tuple[BitField, ...]) -> NDArray[np.uint8]:
    """The integers of some fields.

    Args:
        raw: uint8 [n, nbytes] blocks.
        fields: At least one; all of the same length.

    Returns:
        uint8 [n, items].
    """
    value = np.zeros((len(raw), len(fields[0].at)), np.uint8)
    for field in fields:
        part = np.take(raw, field.at, axis=1)
        part >>= field.shift
        part &= np.uint8(field.mask)
        part <<= np.uint8(field.up)
        value |= part
    return value


def put_bits(raw: NDArray[np.uint8], fields: tuple[BitField, ...], value: NDArray[np.uint8]) -> None:
    """Write integers into the blocks, in place; the inverse of `get_bits`.

    Args:
        raw: uint8 [n, nbytes] blocks.
        fields: Where the integers go.
        value: uint8 [n, items].
    """
    for field in fields:
        part = (value >> np.uint8(field.up)) & np.uint8(field.mask)
        for shift in np.unique(field.shift):  # items of one shift never share a byte
            items = np.flatnonzero(field.shift == shift)
            at = field.at[items]
            kept = np.uint8(~(field.mask << int(shift)) & 0xFF)
            raw[:, at] = (raw[:, at] & kept) | (part[:, items] << shift)
