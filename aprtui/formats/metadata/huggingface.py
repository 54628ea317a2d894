"""Metadata of a SafeTensors model: config.json as transformers' configuration classes understand it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aprtui.core.errors import FormatError
from aprtui.formats.metadata.architectures import WITHOUT_ROPE, class_defaults, text_model_type
from aprtui.formats.metadata.config import Draft
from aprtui.formats.metadata.json_files import LARGEST_TOKENIZER, read_json_object
from aprtui.formats.metadata.keys import KEYS, key_named
from aprtui.formats.metadata.rope import take_rope

_WINDOW_SWITCHED = frozenset({"qwen2", "qwen3", "qwen2_moe", "qwen3_moe"})
_BY_HAND = frozenset({"rope_theta", "rope_local_base_freq", "rope_scaling", "partial_rotary_factor"})
_MOST_LAYERS = 65536
# Configurations that look at one name only, whatever stands under the usual one.
_OWN_NAMES: dict[tuple[str | None, str], tuple[str, ...]] = {
    ("falcon", "intermediate_size"): ("ffn_hidden_size",),
    ("falcon", "num_key_value_heads"): ("num_kv_heads",),
}


def fill(draft: Draft) -> tuple[str | None, str | None]:
    """Read config.json, generation_config.json and the special tokens of tokenizer_config.json.

    Returns:
        The architecture as spelt, and the model_type of the text model.
    """
    path = draft.container.companions.get("config.json")
    if path is None:
        return None, None
    try:
        whole = read_json_object(path)
    except FormatError as error:
        draft.problem("config.json", error.problem)
        return None, None
    config = _text_part(whole)
    raw = config.get("model_type")
    if raw is not None and not isinstance(raw, str):
        draft.problem("architecture", "the value is not text", found=raw, place="model_type")
        raw = None
    architecture = None if raw is None else text_model_type(raw)
    for key in KEYS:
        if key.name not in _BY_HAND:
            draft.take(key, config, _OWN_NAMES.get((architecture, key.name), key.hf))
    take_rope(draft, config)
    _more_token_ids(draft)
    _defaults(draft, config, architecture)
    return raw, architecture


def _text_part(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Multimodal models nest the language model's configuration; it overrides what stands outside."""
    for name in ("text_config", "llm_config", "language_config"):
        nested = config.get(name)
        if isinstance(nested, dict):
            return {**config, **nested}
    return config


def _more_token_ids(draft: Draft) -> None:
    """Ids that end a text may stand in three files; converters take the tokenizer's first, so all of them count."""
    companions = draft.container.companions
    sources: list[tuple[str, Mapping[str, Any]]] = []
    for name in ("generation_config.json", "tokenizer_config.json"):
        try:
            if name in companions:
                sources.append((name, read_json_object(companions[name])))
        except FormatError as error:
            draft.problem(name, error.problem)
    for kind in ("bos", "eos"):
        key = key_named(f"{kind}_token_id")
        stated: set[int] = set(draft.values.get(key.name, ()))
        for name, content in sources:
            raw = content.get(key.name) if name == "generation_config.json" else _id_of(draft, content, f"{kind}_token")
            if raw is not None:
                draft.put(key, name, raw)
                stated |= set(draft.values.get(key.name, ()))
        if stated:
            draft.values[key.name] = tuple(sorted(stated))


def _id_of(draft: Draft, tokenizer_config: Mapping[str, Any], kind: str) -> object:
    token = tokenizer_config.get(kind)
    text = token.get("content") if isinstance(token, dict) else token
    decoder = tokenizer_config.get("added_tokens_decoder")
    if not isinstance(text, str):
        return None
    if isinstance(decoder, dict):
        for number, entry in decoder.items():
            if isinstance(entry, dict) and entry.get("content") == text and str(number).isdecimal():
                return int(number)
    return _added_token_id(draft, text)


def _added_token_id(draft: Draft, text: str) -> object:
    path = draft.container.companions.get("tokenizer.json")
    if path is None:
        return None
    try:
        added = read_json_object(path, LARGEST_TOKENIZER).get("added_tokens")
    except FormatError:
        return None  # The tokenizer level reports it.
    entries = added if isinstance(added, list) else []
    return next(
        (entry.get("id") for entry in entries if isinstance(entry, dict) and entry.get("content") == text), None
    )


def _defaults(draft: Draft, config: Mapping[str, Any], architecture: str | None) -> None:
    stated_null = {key.name for key in KEYS if any(name in config and config[name] is None for name in key.hf)}
    for name, value in (class_defaults(architecture) or {}).items():
        if name not in stated_null:
            draft.default(name, value)
    if architecture == "falcon" and config.get("multi_query", True) and not config.get("new_decoder_architecture"):
        draft.values["num_key_value_heads"] = 1
    draft.default("num_key_value_heads", draft.values.get("num_attention_heads"))
    hidden, heads = draft.integer("hidden_size"), draft.integer("num_attention_heads")
    if hidden and heads:
        draft.default("head_dim", hidden // heads)
    if hidden and (architecture in ("gpt2", "gpt_bigcode", "falcon", "bloom", "gptj")):
        draft.default("intermediate_size", 4 * hidden)
    draft.default("partial_rotary_factor", 1.0)
    if architecture in WITHOUT_ROPE:
        draft.drop("rope_theta", "rope_scaling", "partial_rotary_factor")
    _sliding_window(draft, config, architecture)


def _sliding_window(draft: Draft, config: Mapping[str, Any], architecture: str | None) -> None:
    """No window where the configuration switches it off or no layer uses it."""
    layers = min(draft.integer("num_hidden_layers") or 0, _MOST_LAYERS)
    if "layer_types" not in draft.values and layers:
        period = config.get("sliding_window_pattern", config.get("_sliding_window_pattern"))
        period = {"gemma2": 2, "gemma3_text": 6}.get(architecture or "") if period is None else period
        first = config.get("max_window_layers", 0) if architecture in _WINDOW_SWITCHED else 0
        if isinstance(period, int) and not isinstance(period, bool) and period > 0:
            sliding = [bool((layer + 1) % period) for layer in range(layers)]
        else:
            sliding = [isinstance(first, int) and layer >= first for layer in range(layers)]
        draft.default("layer_types", tuple(f"{'sliding' if each else 'full'}_attention" for each in sliding))
    off = architecture in _WINDOW_SWITCHED and config.get("use_sliding_window") is not True
    unused = "sliding_attention" not in draft.values.get("layer_types", ("sliding_attention",))
    if off or unused or not draft.values.get("sliding_window"):
        draft.drop("sliding_window", "layer_types")
