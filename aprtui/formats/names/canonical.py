"""Stored names to canonical names, for files of every converter we know.

The mapping depends on names and architecture alone, never on data, shapes or the format: GGUF names occur in
SafeTensors and APR files, checkpoint names in GGUF files, and some files mix both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from aprtui.formats.names.gguf_names import Inverse, generic_inverse, inverse_by_variant
from aprtui.formats.names.templates import ParsedName, gguf_side, model_type_of, parse, templates

# aprender names gpt2's tensors, and with them those of models that share its names, in llama's way (gpt2_map_name in
# its tensor_expectation.rs). The thirds that it splits c_attn into have no counterpart in a checkpoint and keep theirs.
_APRENDER_GPT2 = {
    "model.embed_tokens": "transformer.wte",
    "model.position_embedding": "transformer.wpe",
    "model.norm": "transformer.ln_f",
    "model.layers.{layer}.input_layernorm": "transformer.h.{layer}.ln_1",
    "model.layers.{layer}.post_attention_layernorm": "transformer.h.{layer}.ln_2",
    "model.layers.{layer}.self_attn.c_attn": "transformer.h.{layer}.attn.c_attn",
    "model.layers.{layer}.self_attn.o_proj": "transformer.h.{layer}.attn.c_proj",
    "model.layers.{layer}.mlp.up_proj": "transformer.h.{layer}.mlp.c_fc",
    "model.layers.{layer}.mlp.down_proj": "transformer.h.{layer}.mlp.c_proj",
}
_APRENDER_NAMES = {"gpt2": _APRENDER_GPT2, "gpt_bigcode": _APRENDER_GPT2}

_Propose = Callable[[ParsedName], Iterator[str]]


def canonical_names(architecture: str, stored_names: Sequence[str]) -> dict[str, str]:
    """Canonical name of every stored name; no two stored names share one.

    Names that already are checkpoint names claim theirs first, then those that lack the `model.` or `transformer.`
    prefix, then aprender's, then GGUF's. A GGUF name takes the first canonical name that is still free: by the
    architecture's own table, then by the names that any architecture uses.

    Args:
        architecture: `model_type` or `general.architecture`; an unknown one is treated like llama.
        stored_names: All tensor names of one file or checkpoint, each once.

    Returns:
        Stored name -> canonical name. A name that cannot be resolved stays itself.
    """
    model_type = model_type_of(architecture)
    known = _checkpoint_templates(model_type)
    parsed = {name: parse(name) for name in stored_names}
    passes: tuple[_Propose, ...] = (
        lambda name: iter((name.fill(name.template),) if name.template in known else ()),
        _missing_prefix(known),
        _aprender(model_type),
        _from_gguf(model_type, {name.template for name in parsed.values()}),
    )
    resolved: dict[str, str] = {}
    taken: set[str] = set()
    for propose in passes:
        for stored, name in parsed.items():
            if stored in resolved:
                continue
            for candidate in propose(name):
                # Not a name that another tensor of the file bears: that one may have to keep it.
                if candidate not in taken and (candidate == stored or candidate not in parsed):
                    resolved[stored] = candidate
                    taken.add(candidate)
                    break
    return {stored: resolved.get(stored, stored) for stored in stored_names}


def _checkpoint_templates(model_type: str | None) -> frozenset[str]:
    own = templates(model_type or "llama")
    return frozenset(own).union(side for template in own for side in gguf_side(template))


def _missing_prefix(known: frozenset[str]) -> _Propose:
    """A base model's checkpoint lacks the prefix of the causal model; apr 0.2.11 cuts it off."""
    layer_heads = sorted({template.partition("{layer}")[0] for template in known if "{layer}" in template})
    prefixes = tuple(head.partition(".")[0] + "." for head in layer_heads)
    # Buffers of a layer (`h.0.attn.bias`) are in no template; they belong where the layer is.
    containers = tuple(head.partition(".")[2] for head in layer_heads)

    def propose(name: ParsedName) -> Iterator[str]:
        for prefix, container in zip(prefixes, containers, strict=True):
            if prefix + name.template in known or name.template.startswith(container):
                yield name.fill(prefix + name.template)

    return propose


def _aprender(model_type: str | None) -> _Propose:
    aliases = _APRENDER_NAMES.get(model_type or "", {})

    def propose(name: ParsedName) -> Iterator[str]:
        stem, _, suffix = name.template.rpartition(".")
        target = aliases.get(stem) or aliases.get(f"model.{stem}")
        if target is not None:
            yield name.fill(f"{target}.{suffix}")

    return propose


def _from_gguf(model_type: str | None, stored_templates: set[str]) -> _Propose:
    tables: list[Inverse] = [generic_inverse(model_type)]
    if model_type is not None:
        own = inverse_by_variant(model_type)
        # falcon-40b's `attn_norm` is ln_mlp, falcon-7b's is input_layernorm: the configuration that explains more of
        # the names that are there is asked first.
        tables[:0] = sorted(own, key=lambda table: -len(stored_templates & table.keys()))

    def propose(name: ParsedName) -> Iterator[str]:
        # aprender's mapping for qwen2, which it applies to every GGUF, leaves suffixes that it does not know:
        # `model.layers.0.attn_qkv.weight`.
        of_block = name.template.replace("model.layers.{layer}.", "blk.{layer}.")
        for table in tables:
            for template in table.get(of_block, ()):
                yield name.fill(template)

    return propose
