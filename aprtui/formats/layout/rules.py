"""What llama.cpp's converter does to each architecture's tensors: the table.

Read from llama.cpp's `conversion/*.py` (the copy in llama-cpp-python 0.3.36) and proven by converting a tiny model of
every architecture with it (tests/data/architectures). An architecture that stands here with no rules is converted
tensor by tensor as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aprtui.formats.layout.geometry import Geometry
from aprtui.formats.layout.steps import AddConstant, PermuteRotaryRows, RegroupQkv, SliceRows, Step, Transpose


@dataclass(frozen=True, slots=True)
class Rule:
    """One change to the tensors whose canonical names end in a certain way.

    Attributes:
        endings: Ends of canonical names.
        steps: The steps for a geometry; none where the rule does not apply to it.
        text: The rule for a reader, with fields of the geometry `g`.
    """

    endings: tuple[str, ...]
    steps: Callable[[Geometry], tuple[Step, ...]]
    text: str


@dataclass(frozen=True, slots=True)
class Split:
    """One checkpoint tensor that becomes several.

    Attributes:
        ending: End of its canonical name.
        parts: End of each part's canonical name and the rule that makes it.
    """

    ending: str
    parts: tuple[tuple[str, Rule], ...]


def _vocabulary_cut(geometry: Geometry) -> tuple[Step, ...]:
    if geometry.tokens is None or geometry.tokens >= geometry.vocab:
        return ()
    return (SliceRows(0, geometry.tokens),)


def _wqkv_part(first: Callable[[Geometry], int], heads: Callable[[Geometry], int], *, rotary: bool) -> Rule:
    def steps(geometry: Geometry) -> tuple[Step, ...]:
        start = first(geometry) * geometry.head_dim
        rows = SliceRows(start, start + heads(geometry) * geometry.head_dim)
        regrouped = RegroupQkv(geometry.heads, geometry.kv_heads)
        return (regrouped, rows, PermuteRotaryRows(heads(geometry))) if rotary else (regrouped, rows)

    text = "taken from wqkv, whose rows come in {g.kv_heads} groups of queries, key and value"
    return Rule((), steps, f"{text}; permuted for adjacent-pair rotary embedding" if rotary else text)


# conversion/llama.py: LlamaModel.modify_tensors (`undo_permute`); GraniteModel inherits it.
_ROTARY = (
    Rule(
        ("q_proj.weight", "q_proj.bias"),
        lambda geometry: (PermuteRotaryRows(geometry.heads),),
        "q rows permuted for adjacent-pair rotary embedding, {g.heads} heads",
    ),
    Rule(
        ("k_proj.weight", "k_proj.bias"),
        lambda geometry: (PermuteRotaryRows(geometry.kv_heads),),
        "k rows permuted for adjacent-pair rotary embedding, {g.kv_heads} kv heads",
    ),
)

# conversion/gemma.py: GemmaModel, Gemma2Model, Gemma3Model; q_norm and k_norm are norms too.
_NORM_PLUS_ONE = Rule(("norm.weight",), lambda _: (AddConstant(1.0),), "norm weight + 1")

# conversion/gemma.py: Gemma3Model.modify_tensors.
_CUT_VOCABULARY = Rule(("embed_tokens.weight",), _vocabulary_cut, "rows beyond the tokenizer's {g.tokens} entries cut")

# conversion/gpt2.py: GPT2Model.modify_tensors. Biases of these modules are vectors and stay.
_CONV1D = Rule(
    (".c_attn.weight", ".c_proj.weight", ".c_fc.weight"),
    lambda _: (Transpose(),),
    "transposed: Conv1D keeps [in, out]",
)

# conversion/falcon.py: FalconModel.modify_tensors; it cannot convert a fused bias.
_FALCON_QKV = Rule(
    ("query_key_value.weight",),
    lambda geometry: (RegroupQkv(geometry.heads, geometry.kv_heads),),
    "rows regrouped from {g.kv_heads} groups of queries, key and value to all q, all k, all v",
)

RULES: dict[str, tuple[Rule, ...]] = {
    "falcon": (_FALCON_QKV,),
    "gemma": (_NORM_PLUS_ONE,),
    "gemma2": (_NORM_PLUS_ONE,),
    "gemma3_text": (_NORM_PLUS_ONE, _CUT_VOCABULARY),
    "gpt2": (_CONV1D,),
    "gpt_bigcode": (),
    "granite": _ROTARY,
    "internlm2": (),
    "llama": _ROTARY,
    "mistral": _ROTARY,
    "mixtral": _ROTARY,
    "olmo2": (),
    "phi": (),
    "phi3": (),
    "qwen2": (),
    "qwen2_moe": (),
    "qwen3": (),
    "qwen3_moe": (),
    "stablelm": (),
    "starcoder2": (),
}

# conversion/internlm.py: InternLM2Model.modify_tensors.
SPLITS: dict[str, Split] = {
    "internlm2": Split(
        "attention.wqkv.weight",
        (
            ("self_attn.q_proj.weight", _wqkv_part(lambda _: 0, lambda g: g.heads, rotary=True)),
            ("self_attn.k_proj.weight", _wqkv_part(lambda g: g.heads, lambda g: g.kv_heads, rotary=True)),
            ("self_attn.v_proj.weight", _wqkv_part(lambda g: g.heads + g.kv_heads, lambda g: g.kv_heads, rotary=False)),
        ),
    )
}

# conversion/base.py: ModelBase.prepare_tensors.
_BUFFERS = {
    ".attention.masked_bias": "buffer of the causal mask",
    ".attention.bias": "buffer of the causal mask",
    ".rotary_emb.inv_freq": "buffer computed from the rope configuration",
}

_UNUSED_HEAD = {"lm_head.weight": "the head is always the embedding"}
_GPT2_BUFFERS = {".attn.masked_bias": "buffer of the causal mask", ".attn.bias": "buffer of the causal mask"}

# Tensors that a conversion leaves out: end of the canonical name -> reason.
DROPPED: dict[str, dict[str, str]] = {
    "gemma": _UNUSED_HEAD | _BUFFERS,
    "gemma2": _UNUSED_HEAD | _BUFFERS,
    "gpt2": _GPT2_BUFFERS | _BUFFERS,
}
DROPPED_EVERYWHERE = _BUFFERS
