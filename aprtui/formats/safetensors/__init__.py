"""SafeTensors: a JSON header and plain arrays, in one file or in the shards of an index."""

from aprtui.formats.safetensors.reader import read_safetensors
from aprtui.formats.safetensors.writer import write_safetensors

__all__ = ["read_safetensors", "write_safetensors"]
