"""Views: the closed set of lazy operations on tensors that kernels read through.

Layout rules, repairs and faults are compositions of these. A view holds no weights; `read` hands out bounded
chunks, in the stored encoding where the operation only moves bytes, else as float32.
"""

from aprtui.formats.views.base import View, decoded
from aprtui.formats.views.computed import Computed
from aprtui.formats.views.elements import Added, Decoded, Reinterpreted, Scaled, Shifted
from aprtui.formats.views.reblock import Packing, Reblocked, packings_of
from aprtui.formats.views.rows import ColumnsPermuted, Concatenated, RowsPermuted, Sliced, rotary_order
from aprtui.formats.views.shape import Aliased, PaddedRowsReadFlat, Reshaped, Transposed
from aprtui.formats.views.stored import Stored

__all__ = [
    "Added",
    "Aliased",
    "ColumnsPermuted",
    "Computed",
    "Concatenated",
    "Decoded",
    "Packing",
    "PaddedRowsReadFlat",
    "Reblocked",
    "Reinterpreted",
    "Reshaped",
    "RowsPermuted",
    "Scaled",
    "Shifted",
    "Sliced",
    "Stored",
    "Transposed",
    "View",
    "decoded",
    "packings_of",
    "rotary_order",
]
