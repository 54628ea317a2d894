"""Element codecs: stored bytes to numbers and back, and the parts of quantised blocks (`block_layout`)."""

from aprtui.formats.codecs.decode import decode_chunk
from aprtui.formats.codecs.encode import ENCODABLE, encode

__all__ = ["ENCODABLE", "decode_chunk", "encode"]
