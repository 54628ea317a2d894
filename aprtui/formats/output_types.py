"""Which type each tensor of a product may have, given what the converter was asked for.

An output type is `lossless`, a plain type, one of apr's (`int8`, `int4`, `q4_k`) or a recipe of llama.cpp
(`q4_k_m` …), which names a type per tensor. A type that was not asked for is a structure finding, however good
its codes are.
"""

from __future__ import annotations

from dataclasses import dataclass

from aprtui.core.dtypes import DType
from aprtui.core.errors import UsageError
from aprtui.core.tolerance import holds_exactly
from aprtui.formats.container import Format
from aprtui.formats.layout.geometry import Geometry
from aprtui.formats.names import gguf_name
from aprtui.formats.recipes import RECIPES, RecipeTensor, recipe_types

_PLAIN = {"f32": DType.F32, "f16": DType.F16, "fp16": DType.F16, "bf16": DType.BF16}
_APR = {"int8": DType.APR_Q8, "int4": DType.APR_Q4, "q4_k": DType.Q4_K, "q4k": DType.Q4_K}
_EMBEDDING = "token_embd.weight"
_HEAD = "output.weight"

KEPT_FLOAT32 = ("_norm.", "position_embd", "token_types", "ffn_gate_inp", "ssm_conv1d", "shortconv", "rope_f")
"""Parts of GGUF names of matrices that llama.cpp leaves in float32 (conversion/base.py, src/llama-quant.cpp)."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """What decides the types of a product besides the request.

    Attributes:
        geometry: Of the source.
        target: Format of the product.
        tied: The product has no output matrix of its own.
        importance_matrix: The product says it was made with one.
    """

    geometry: Geometry
    target: Format
    tied: bool
    importance_matrix: bool


@dataclass(frozen=True, slots=True)
class OutputTypes:
    """A parsed request.

    Attributes:
        text: As the user wrote it, in lower case.
    """

    text: str

    @property
    def needs_blocks(self) -> bool:
        """Whether it asks for block types, which SafeTensors cannot hold."""
        return self.text != "lossless" and self.text not in _PLAIN

    @property
    def bits_per_weight(self) -> float | None:
        """Bits of most weights, for estimates; None for lossless, which keeps those of the source."""
        dtype = {**_PLAIN, **_APR, **RECIPES}.get(self.text)
        return None if dtype is None else 8 * dtype.info.nbytes / dtype.info.block

    def allowed(self, name: str, shape: tuple[int, ...], source: DType, conversion: Conversion) -> tuple[DType, ...]:
        """Types that the product's tensor may have, preferred one first.

        Args:
            name: Canonical name.
            shape: Row-major shape in the product.
            source: Type of the source as seen through the layout view.
            conversion: The circumstances.
        """
        exact = _exact_types(source)
        stored_as = gguf_name(conversion.geometry.architecture, name) or name
        is_matrix = len(shape) > 1 and name.endswith("weight") and not any(part in stored_as for part in KEPT_FLOAT32)
        if self.text == "lossless":
            return exact
        if self.text in _PLAIN:
            asked = _PLAIN[self.text]
            return (asked,) if is_matrix else tuple(dict.fromkeys((asked, *exact)))
        if not is_matrix:
            return exact
        if self.text in _APR:
            asked = _APR[self.text]
            optional = asked is DType.Q4_K and stored_as in (_EMBEDDING, _HEAD)
            return (asked, *exact) if optional else (asked,)
        tensor = RecipeTensor(stored_as, shape[-1], conversion.importance_matrix)
        return recipe_types(self.text, tensor, conversion.geometry, tied=conversion.tied)


def _exact_types(source: DType) -> tuple[DType, ...]:
    others = [dtype for dtype in DType if dtype != source and holds_exactly(source, dtype)]
    return (source, *sorted(others, key=lambda dtype: dtype.info.nbytes))


def parse_output_type(text: str) -> OutputTypes:
    """Read `--outtype`.

    Raises:
        UsageError: Not an output type; the message lists what is.
    """
    name = text.strip().lower().replace("-", "_")
    known = {"lossless", *_PLAIN, *_APR, *RECIPES}
    if name not in known:
        raise UsageError(f"unknown output type {text!r}", todo=f"use one of {', '.join(sorted(known))}")
    return OutputTypes(name)
