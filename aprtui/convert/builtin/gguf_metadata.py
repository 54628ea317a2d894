"""Keys of a GGUF as llama.cpp's converter writes them, from canonical metadata.

What GGUF calls a key stands in `formats.metadata.keys`; here is what each value becomes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import log, prod, sqrt
from typing import Any

from gguf.constants import LlamaFileType

from aprtui.convert.builtin.facts import ModelFacts
from aprtui.convert.builtin.gguf_tokenizer import tokenizer_keys
from aprtui.convert.builtin.tensors import ProductTensor
from aprtui.core.dtypes import DType, Family
from aprtui.formats.container import Format
from aprtui.formats.gguf import GgufValue, ValueType
from aprtui.formats.metadata.architectures import (
    LAYER_NORM,
    NORMALISES_EXPERTS,
    SLIDING_PERIODS,
    WITHOUT_ROPE,
    gguf_name_of,
)
from aprtui.formats.metadata.gguf import SCALING_KEYS
from aprtui.formats.metadata.keys import KEYS, Key, can_hold
from aprtui.formats.metadata.values import Kind, Value
from aprtui.formats.output_types import OutputTypes

_QUANTIZATION_VERSION = 2
_BY_HAND = frozenset(
    {"head_dim", "rope_scaling", "partial_rotary_factor", "rms_norm_eps", "layer_types", "sliding_window"}
)
# Types that llama-quantize names by a recipe.
_RECIPE_OF = {DType.Q3_K: "Q3_K_M", DType.Q4_K: "Q4_K_M", DType.Q5_K: "Q5_K_M"}
# What GGUF says of one architecture only, and always alike.
_CONSTANT: dict[str, tuple[tuple[str, str, ValueType], ...]] = {
    "falcon": (("tensor_data_layout", "jploski", ValueType.STRING),),
}


def gguf_metadata(facts: ModelFacts, tensors: Sequence[ProductTensor], asked_for: OutputTypes) -> list[GgufValue]:
    """All keys and values, in the order of llama.cpp's converter: general, architecture, tokenizer.

    Args:
        facts: What the product says.
        tensors: Its tensors; the file type follows from them.
        asked_for: The output type; a recipe names the file type.
    """
    architecture = gguf_name_of(facts.architecture)
    general = [
        GgufValue("general.architecture", architecture, ValueType.STRING),
        GgufValue("general.type", "model", ValueType.STRING),
        GgufValue("general.name", facts.name, ValueType.STRING),
        GgufValue("general.file_type", _file_type(tensors, asked_for), ValueType.UINT32),
        GgufValue("general.quantization_version", _QUANTIZATION_VERSION, ValueType.UINT32),
    ]
    values = [*_plain_keys(facts, architecture), *_by_hand(facts, architecture)]
    own = [GgufValue(f"{architecture}.{name}", value, kind, element) for name, value, kind, element in values]
    constant = [
        GgufValue(f"{architecture}.{name}", value, kind) for name, value, kind in _CONSTANT.get(architecture, ())
    ]
    return [*general, *own, *constant, *tokenizer_keys(facts)]


_Entry = tuple[str, Any, ValueType, ValueType | None]


def _plain_keys(facts: ModelFacts, architecture: str) -> Iterator[_Entry]:
    for key in KEYS:
        value = facts.stated(key)
        if value is None and key.gguf_only is not None:
            value = key.neutral
        name = next(iter(key.gguf), "(")
        by_hand = key.name in _BY_HAND or name.startswith(("(", "tokenizer."))
        by_hand |= key.name == "norm_topk_prob" and architecture in NORMALISES_EXPERTS
        if value is not None and not by_hand and can_hold(key, Format.GGUF, architecture):
            yield (name, *_typed(key, value))


def _typed(key: Key, value: Value) -> tuple[Any, ValueType, ValueType | None]:
    if isinstance(value, tuple):
        return list(value), ValueType.ARRAY, ValueType.INT32
    types = {Kind.NUMBER: ValueType.FLOAT32, Kind.FLAG: ValueType.BOOL}
    return value, types.get(key.kind, ValueType.UINT32), None


def _by_hand(facts: ModelFacts, architecture: str) -> Iterator[_Entry]:
    values = facts.values
    if (epsilon := values.get("rms_norm_eps")) is not None:
        norm = "layer_norm" if architecture in LAYER_NORM else "layer_norm_rms"
        yield f"attention.{norm}_epsilon", epsilon, ValueType.FLOAT32, None
    if facts.states_head_dim:
        for name in ("attention.key_length", "attention.value_length"):
            yield name, values["head_dim"], ValueType.UINT32, None
    if facts.architecture not in WITHOUT_ROPE:
        yield from _rope(values, architecture)
    yield from _sliding_window(values, architecture)


def _rope(values: Mapping[str, Any], architecture: str) -> Iterator[_Entry]:
    head_dim = values.get("head_dim")
    if head_dim is not None:
        rotated = int(values.get("partial_rotary_factor", 1.0) * head_dim + 1e-6)
        yield "rope.dimension_count", rotated, ValueType.UINT32, None
    scaling = values.get("rope_scaling")
    if scaling is None:
        return
    kind = scaling["rope_type"]
    if kind in ("linear", "yarn"):
        yield "rope.scaling.type", kind, ValueType.STRING, None
    if kind == "longrope":
        factor = _attention_factor(values.get("max_position_embeddings"), scaling)
        yield "rope.scaling.attn_factor", factor, ValueType.FLOAT32, None
    for item, name in SCALING_KEYS.items():
        value = scaling.get(item)
        whole = item == "original_max_position_embeddings"
        if value is not None and kind != "llama3" and (whole or kind != "longrope"):
            yield name, value, ValueType.UINT32 if whole else ValueType.FLOAT32, None


def _attention_factor(context: int | None, scaling: dict[str, Any]) -> float:
    """llama.cpp's `Phi3MiniModel.set_gguf_parameters`: how much longer the context became, logarithmically."""
    original = scaling.get("original_max_position_embeddings")
    if not context or not original or context <= original or original < 2:
        return 1.0
    return sqrt(1 + log(context / original) / log(original))


def _sliding_window(values: Mapping[str, Any], architecture: str) -> Iterator[_Entry]:
    """llama.cpp knows the period of some architectures; another one is stated, else the flag of each layer."""
    window = values.get("sliding_window")
    key = next(key for key in KEYS if key.name == "sliding_window")
    if not can_hold(key, Format.GGUF, architecture):
        return
    if not window:
        if architecture == "phi3":
            yield "attention.sliding_window", 0, ValueType.UINT32, None
        return
    yield "attention.sliding_window", window, ValueType.UINT32, None
    sliding = [kind == "sliding_attention" for kind in values.get("layer_types", ())]
    if not sliding or sliding == _periodic(SLIDING_PERIODS.get(architecture, 0), len(sliding)):
        return
    name = "attention.sliding_window_pattern"
    period = next((each for each in range(2, 33) if sliding == _periodic(each, len(sliding))), None)
    if period is not None and all(sliding[: period - 1]) and len(sliding) >= period:
        yield name, period, ValueType.UINT32, None
    else:
        yield name, sliding, ValueType.ARRAY, ValueType.BOOL


def _periodic(period: int, layers: int) -> list[bool]:
    """Every period-th layer looks at all positions; with period 0 none does."""
    return [period == 0 or bool((layer + 1) % period) for layer in range(layers)]


def _file_type(tensors: Sequence[ProductTensor], asked_for: OutputTypes) -> int:
    """`general.file_type`: the recipe that was asked for, else the type of most elements in matrices.

    No name says that most are F32 and some not.
    """
    sizes = Counter[DType]()
    for tensor in tensors:
        if len(tensor.view.shape) > 1:
            sizes[tensor.dtype] += prod(tensor.view.shape)
    most = sizes.most_common(1)[0][0] if sizes else DType.F32
    if most is DType.F32 and any(dtype.info.family is Family.BLOCK for dtype in sizes):
        return int(LlamaFileType.GUESSED)
    names = (asked_for.text.upper(), _RECIPE_OF.get(most, most.value))
    for name in (f"{prefix}_{name}" for name in names for prefix in ("MOSTLY", "ALL")):
        if name in LlamaFileType.__members__:
            return int(LlamaFileType[name])
    return int(LlamaFileType.GUESSED)
