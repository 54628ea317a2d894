"""llama.cpp's recipes: which type `llama-quantize` gives each tensor.

Source of the rules: `llama_tensor_get_type_impl` and `tensor_type_fallback` in llama.cpp's src/llama-quant.cpp (2026),
for the recipes whose types aprtui certifies. Where an earlier llama.cpp decided otherwise, both answers are right.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aprtui.core.dtypes import DType
from aprtui.formats.layout.geometry import Geometry

_Q2, _Q3, _Q4, _Q5, _Q6 = DType.Q2_K, DType.Q3_K, DType.Q4_K, DType.Q5_K, DType.Q6_K

RECIPES: dict[str, DType] = {
    "q8_0": DType.Q8_0,
    "q4_0": DType.Q4_0,
    "q4_1": DType.Q4_1,
    "q5_0": DType.Q5_0,
    "q5_1": DType.Q5_1,
    "q2_k": _Q2,
    "q3_k_s": _Q3,
    "q3_k_m": _Q3,
    "q3_k_l": _Q3,
    "q4_k_s": _Q4,
    "q4_k_m": _Q4,
    "q5_k_s": _Q5,
    "q5_k_m": _Q5,
    "q6_k": _Q6,
    "iq4_nl": DType.IQ4_NL,
    "iq4_xs": DType.IQ4_XS,
}
"""Recipes by name, with the type that tensors have unless a rule says otherwise."""

_FALLBACK = {
    _Q2: (DType.Q4_0, DType.IQ4_NL),
    _Q3: (DType.Q4_0, DType.IQ4_NL),
    DType.IQ4_XS: (DType.IQ4_NL,),
    _Q4: (DType.Q5_0,),
    _Q5: (DType.Q5_1,),
    _Q6: (DType.Q8_0,),
}
"""What a row gets that does not fill whole super-blocks; the second is what llama.cpp gave before 2026."""

_LONGEST_INDEX = 18
_MANY_EXPERTS = 8
_WIDE_GQA = 4


@dataclass(frozen=True, slots=True)
class RecipeTensor:
    """What a recipe looks at: GGUF name, row length, whether an importance matrix was used."""

    name: str
    columns: int
    importance_matrix: bool

    @property
    def layer(self) -> int:
        """Block number, 0 where the name has none."""
        parts = self.name.split(".")
        numbered = len(parts) > 1 and parts[0] == "blk" and parts[1].isdecimal() and len(parts[1]) <= _LONGEST_INDEX
        return int(parts[1]) if numbered else 0

    def is_role(self, role: str) -> bool:
        """Whether the name is `blk.N.<role>.weight`."""
        return self.name.endswith(f".{role}.weight")


@dataclass(frozen=True, slots=True)
class _Case:
    """One question to a rule: recipe, tensor, model."""

    recipe: str
    tensor: RecipeTensor
    geometry: Geometry
    default: DType

    @property
    def gqa(self) -> int:
        """Query heads per key/value head."""
        return self.geometry.heads // max(1, self.geometry.kv_heads)

    @property
    def first_eighth(self) -> bool:
        """Among the first eighth of the layers."""
        return self.tensor.layer < self.geometry.layers // 8

    @property
    def more_bits(self) -> bool:
        """llama.cpp's `use_more_bits`: the first and last eighth, and every third layer between."""
        layer, layers = self.tensor.layer, self.geometry.layers
        return layer < layers // 8 or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2

    @property
    def is_falcon(self) -> bool:
        """Falcon keeps more bits in ffn_down and an 8-bit head."""
        return self.geometry.architecture == "falcon"


def recipe_types(recipe: str, tensor: RecipeTensor, geometry: Geometry, *, tied: bool) -> tuple[DType, ...]:
    """The type that llama-quantize gives a matrix, then what earlier versions gave it.

    Args:
        recipe: A key of `RECIPES`.
        tensor: GGUF name and row length.
        geometry: Of the model.
        tied: The model has no `output.weight`, so the embedding is treated as the head.
    """
    case = _Case(recipe, tensor, geometry, RECIPES[recipe])
    if _is_head(tensor.name, tied=tied):
        chosen: tuple[DType, ...] = (_head_type(case),)
    elif tensor.is_role("attn_qkv"):
        chosen = (_attention_v(case), _FUSED_BEFORE_2026.get(recipe, case.default))
    else:
        chosen = (_block_type(case),)
    return tuple(dict.fromkeys(fitting for dtype in chosen for fitting in _fitting(dtype, tensor.columns)))


def _fitting(dtype: DType, columns: int) -> tuple[DType, ...]:
    """The type itself where rows fill whole blocks, else its fallback, else F16."""
    if columns % dtype.info.block == 0:
        return (dtype,)
    return tuple(
        fallback if columns % fallback.info.block == 0 else DType.F16 for fallback in _FALLBACK.get(dtype, (DType.F16,))
    )


def _is_head(name: str, *, tied: bool) -> bool:
    return name == "output.weight" or (tied and name == "token_embd.weight")


def _head_type(case: _Case) -> DType:
    if case.is_falcon or case.tensor.columns % _Q6.info.block:
        return DType.Q8_0
    return case.default if case.default is DType.Q8_0 else _Q6


def _block_type(case: _Case) -> DType:
    for role, rule in _ROLES.items():
        if case.tensor.is_role(role):
            return rule(case)
    return case.default


def _attention_v(case: _Case) -> DType:
    recipe, layer = case.recipe, case.tensor.layer
    chosen = case.default
    if recipe == "q2_k":
        chosen = _Q4 if case.gqa >= _WIDE_GQA else _Q3
    elif recipe == "q3_k_m":
        chosen = _Q5 if layer < 2 else _Q4
    elif recipe == "q3_k_l" or (recipe.startswith("iq4") and case.gqa >= _WIDE_GQA):
        chosen = _Q5
    elif recipe in ("q4_k_m", "q5_k_m") and case.more_bits:
        chosen = _Q6
    elif recipe == "q4_k_s" and layer < 4:
        chosen = _Q5
    return DType.Q8_0 if case.geometry.experts == _MANY_EXPERTS else chosen


def _attention_k(case: _Case) -> DType:
    return DType.Q8_0 if case.geometry.experts == _MANY_EXPERTS else case.default


def _ffn_down(case: _Case) -> DType:
    recipe, layer, falcon = case.recipe, case.tensor.layer, case.is_falcon
    if recipe == "q2_k":
        return _Q3
    if recipe == "q3_k_m":
        if layer < case.geometry.layers // 16:
            return _Q5
        return _Q4 if not falcon or case.more_bits else _Q3
    if recipe == "q3_k_l":
        return _Q4 if falcon else _Q5
    if recipe == "q4_k_m":
        if falcon:
            return _Q6 if layer < case.geometry.layers // 16 else _Q5 if case.more_bits else _Q4
        return _Q6 if case.more_bits else case.default
    return _ffn_down_of_plain(case)


def _ffn_down_of_plain(case: _Case) -> DType:
    recipe, imatrix = case.recipe, case.tensor.importance_matrix
    if recipe == "q5_k_m" and case.more_bits:
        return _Q6
    if not case.first_eighth:
        return case.default
    if recipe.startswith("iq4") and not case.is_falcon and not imatrix:
        return _Q5
    if recipe == "q4_k_s" and not case.is_falcon:
        return _Q5
    if recipe in ("q4_0", "q5_0") and imatrix:
        return DType.Q4_1 if recipe == "q4_0" else DType.Q5_1
    return case.default


def _attention_output(case: _Case) -> DType:
    if case.is_falcon:
        return _Q4 if case.recipe == "q3_k_l" else case.default
    if case.geometry.experts == _MANY_EXPERTS:
        small = ("q2_k", "q3_k_s", "q3_k_m", "q4_k_s", "q4_k_m", "iq4_nl", "iq4_xs")
        return _Q5 if case.recipe in small else case.default
    return {"q2_k": _Q3, "q3_k_m": _Q4, "q3_k_l": _Q5}.get(case.recipe, case.default)


_FUSED_BEFORE_2026 = {"q3_k_m": _Q4, "q3_k_l": _Q4, "q4_k_m": _Q5, "q5_k_m": _Q6}

_ROLES: dict[str, Callable[[_Case], DType]] = {
    "attn_v": _attention_v,
    "attn_k": _attention_k,
    "attn_output": _attention_output,
    "ffn_down": _ffn_down,
    "ffn_down_exps": _ffn_down,
    "ffn_down_shexp": _ffn_down,
}
