"""A sentencepiece model (`tokenizer.model`), by hand: a few fields of one protobuf message.

sentencepiece_model.proto: ModelProto.pieces = 1 (SentencePiece), trainer_spec = 2, normalizer_spec = 3;
SentencePiece.piece = 1, score = 2 (float), type = 3; TrainerSpec.model_type = 3 (1 = unigram, 2 = BPE; unigram by
default); NormalizerSpec.precompiled_charsmap = 2, add_dummy_prefix = 3 (true by default).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from aprtui.core.errors import FormatError
from aprtui.formats.tokenizer.facts import MOST_TOKENS, TokenType

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10
_UNIGRAM = 1
_TYPES = {1: TokenType.NORMAL, 2: TokenType.UNKNOWN, 3: TokenType.CONTROL, 4: TokenType.USER_DEFINED}
_TYPES |= {5: TokenType.UNUSED, 6: TokenType.BYTE}


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece.

    Attributes:
        text: The token.
        score: Its score.
        kind: Its type; sentencepiece numbers types as GGUF does.
    """

    text: str
    score: float
    kind: TokenType


@dataclass(frozen=True, slots=True)
class SentencepieceModel:
    """What a file says.

    Attributes:
        pieces: All pieces in order of id.
        unigram: Texts are split into the likeliest pieces, not joined by scores.
        space_prefix: A text gets a space in front.
        replaces: Characters are replaced by a table before texts are split.
    """

    pieces: list[Piece]
    unigram: bool
    space_prefix: bool
    replaces: bool


def read_sentencepiece(content: bytes) -> SentencepieceModel:
    """Read a model.

    Raises:
        FormatError: The bytes are not a sentencepiece model.
    """
    pieces, unigram, space_prefix, replaces = [], True, True, False
    for number, wire, value in _fields(memoryview(content)):
        if wire != _BYTES or not isinstance(value, memoryview):
            continue
        if number == 1:
            pieces.append(_piece(value))
            if len(pieces) > MOST_TOKENS:
                raise FormatError(f"the sentencepiece model has more than {MOST_TOKENS} pieces")
        elif number == 2:
            unigram = _number(value, 3, _UNIGRAM) == _UNIGRAM
        elif number == 3:
            space_prefix = bool(_number(value, 3, 1))
            replaces = any(len(table) > 0 for table in _bytes(value, 2))
    if not pieces:
        raise FormatError("it is no sentencepiece model: it has no pieces")
    return SentencepieceModel(pieces, unigram, space_prefix, replaces)


def _number(message: memoryview, wanted: int, default: int) -> int:
    """A whole number of a message; the last one counts where there are several."""
    found = default
    for number, wire, value in _fields(message):
        if number == wanted and wire == _VARINT and isinstance(value, int):
            found = value
    return found


def _bytes(message: memoryview, wanted: int) -> Iterator[memoryview]:
    """The values of a field that holds bytes."""
    for number, wire, value in _fields(message):
        if number == wanted and wire == _BYTES and isinstance(value, memoryview):
            yield value


def _piece(message: memoryview) -> Piece:
    text, score, kind = "", 0.0, TokenType.NORMAL
    for number, wire, value in _fields(message):
        if number == 1 and wire == _BYTES and isinstance(value, memoryview):
            text = str(value, "utf-8", "surrogateescape")
        elif number == 2 and wire == _FIXED32 and isinstance(value, memoryview):
            score = float(struct.unpack("<f", value)[0])
        elif number == 3 and wire == _VARINT and isinstance(value, int):
            kind = _TYPES.get(value, TokenType.NORMAL)
    return Piece(text, score, kind)


def _fields(message: memoryview) -> Iterator[tuple[int, int, memoryview | int]]:
    """Field number, wire type and value of every field; nothing is read beyond the message."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _varint(message, at)
            yield number, wire, value
            continue
        if wire == _BYTES:
            length, at = _varint(message, at)
        elif wire in (_FIXED32, _FIXED64):
            length = 4 if wire == _FIXED32 else 8
        else:
            raise FormatError(f"it is no sentencepiece model: wire type {wire}", place=f"offset {at}")
        if length > len(message) - at:
            raise FormatError("it is no sentencepiece model, or cut off", place=f"offset {at}")
        yield number, wire, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for index in range(_LONGEST_VARINT):
        if at + index >= len(message):
            break
        byte = message[at + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, at + index + 1
    raise FormatError("it is no sentencepiece model, or cut off", place=f"offset {at}")
