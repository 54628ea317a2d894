"""Names of tensors: what a file calls them, and the one name that all formats share.

Formats and converters name the same tensor differently; everything that compares two models pairs tensors by the
canonical name, which is the name in a checkpoint of transformers' causal language model.
"""

from aprtui.formats.names.canonical import canonical_names
from aprtui.formats.names.gguf_names import gguf_name
from aprtui.formats.names.row_order import RowOrder, row_order
from aprtui.formats.names.templates import checkpoint_names, known_architectures, model_type_of, parse

__all__ = [
    "RowOrder",
    "canonical_names",
    "checkpoint_names",
    "gguf_name",
    "known_architectures",
    "model_type_of",
    "parse",
    "row_order",
]
