"""Metadata that is wrong as a whole: missing, constant, guessed, or of another architecture."""

from __future__ import annotations

from typing import Any

from aprtui.faults import stated
from aprtui.faults.draft import Draft, metadata_value
from aprtui.faults.fault import fault
from aprtui.formats.container import Format

_SAFETENSORS = frozenset({Format.SAFETENSORS})
_GGUF = frozenset({Format.GGUF})


def _set(draft: Draft, values: dict[str, Any]) -> None:
    for name, value in values.items():
        if draft.model.config.values.get(name) != value:
            stated.set_value(draft, name, value)


@fault("metadata.missing", "RC-58", "RC-68")
def missing(draft: Draft) -> None:
    """There is no metadata at all."""
    if draft.format is Format.SAFETENSORS:
        for name in ("config.json", "generation_config.json"):
            draft.header.documents.pop(name, None)
    else:
        main = draft.header.main
        kept = ("tokenizer.ggml.", "tokenizer.vocabulary", "tokenizer.merges", "tokenizer.token_type", "tokenizer.pre")
        for name in [name for name in main if not name.startswith(kept)]:
            del main[name]
    draft.touch("missing")


@fault("metadata.guessed", "RC-58", "RC-59", "RC-64")
def guessed(draft: Draft) -> None:
    """Metadata was guessed from shapes: heads of 64 rows, rope_theta 10000, 4096 positions."""
    heads = max(1, int(metadata_value(draft, "hidden_size")) // 64)
    values = {"rope_theta": 10000.0, "max_position_embeddings": 4096, "rms_norm_eps": 1e-6}
    _set(draft, {**values, "num_attention_heads": heads, "num_key_value_heads": heads})


@fault("metadata.constants_of_7b", "RC-66")
def constants_of_7b(draft: Draft) -> None:
    """Sizes are those of LLaMA 7B, which a converter falls back to."""
    values = {"hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "intermediate_size": 11008}
    _set(draft, values | {"num_key_value_heads": 32, "max_position_embeddings": 32768})


@fault("metadata.hidden_vocab_swapped", "RC-63")
def hidden_vocab_swapped(draft: Draft) -> None:
    """hidden_size and vocab_size are exchanged."""
    hidden, vocabulary = metadata_value(draft, "hidden_size"), metadata_value(draft, "vocab_size")
    _set(draft, {"hidden_size": vocabulary, "vocab_size": hidden})


@fault("metadata.kv_heads_as_heads", "RC-62", requires="fewer kv heads than query heads")
def kv_heads_as_heads(draft: Draft) -> None:
    """num_key_value_heads is num_attention_heads."""
    heads, kv_heads = metadata_value(draft, "num_attention_heads"), metadata_value(draft, "num_key_value_heads")
    if heads == kv_heads:
        raise draft.refuse("the product has as many kv heads as query heads")
    stated.set_value(draft, "num_key_value_heads", heads)


@fault("metadata.head_dim_guessed", "RC-19", requires="head_dim other than hidden_size over heads")
def head_dim_guessed(draft: Draft) -> None:
    """head_dim is hidden_size over num_attention_heads, which does not hold for this model."""
    derived = int(metadata_value(draft, "hidden_size")) // int(metadata_value(draft, "num_attention_heads"))
    if derived == metadata_value(draft, "head_dim"):
        raise draft.refuse("head_dim of the product is hidden_size over num_attention_heads")
    stated.set_value(draft, "head_dim", derived)


@fault("metadata.constant_config", "RC-65", "RC-69", "RC-78", formats=_SAFETENSORS)
def constant_config(draft: Draft) -> None:
    """config.json holds the constants that apr's export writes for every model."""
    config = draft.header.main
    config.pop("rope_parameters", None)
    heads = max(1, int(config.get("hidden_size", 64)) // 64)
    constants = {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "rope_theta": 1000000.0}
    constants |= {"max_position_embeddings": 32768, "rms_norm_eps": 1e-6, "tie_word_embeddings": True}
    constants |= {"bos_token_id": 151643, "eos_token_id": 151645, "torch_dtype": "bfloat16"}
    config.update(constants | {"num_attention_heads": heads, "num_key_value_heads": heads})
    draft.header.documents.pop("generation_config.json", None)
    draft.touch("num_attention_heads", "max_position_embeddings", "eos_token_id")


@fault("metadata.architecture", "RC-65")
def architecture(draft: Draft) -> None:
    """The architecture is another one."""
    main, found = draft.header.main, str(draft.model.config.raw_architecture)
    other = "qwen2" if found != "qwen2" else "llama"
    if draft.format is Format.GGUF:
        rename_prefix(draft, found, other)
        main["general.architecture"] = other
    elif draft.format is Format.APR:
        for name in ("architecture", "model.architecture", "hf_model_type"):
            if main.get(name) is not None:
                main[name] = other
    else:
        main["model_type"] = other
    draft.touch("architecture")


def rename_prefix(draft: Draft, old: str, new: str) -> None:
    """Give the keys of a GGUF's architecture the prefix of another one."""
    main = draft.header.main
    for name in [name for name in main if name.startswith(f"{old}.")]:
        value = main[name]
        del main[name]
        main[new + name.removeprefix(old)] = value


@fault("metadata.prefix", "RC-67", formats=_GGUF)
def prefix(draft: Draft) -> None:
    """Keys have the prefix of another architecture, so that nobody finds them."""
    found = stated.gguf_prefix(draft)
    rename_prefix(draft, found, "gptneox")
    draft.touch("hidden_size", "num_attention_heads")


@fault("metadata.epsilon_key", "RC-73", "RC-64", formats=_GGUF, requires="layer norms with mean and bias (gpt2)")
def epsilon_key(draft: Draft) -> None:
    """The epsilon of layer norm stands under the key of RMS norm."""
    main, name = draft.header.main, f"{stated.gguf_prefix(draft)}.attention.layer_norm_epsilon"
    if name not in main:
        raise draft.refuse("the product has no epsilon of layer norm")
    main[name.replace("layer_norm_epsilon", "layer_norm_rms_epsilon")] = main[name]
    del main[name]
    draft.touch("rms_norm_eps")


@fault("metadata.not_a_number", "RC-68", formats=_SAFETENSORS | _GGUF)
def not_a_number(draft: Draft) -> None:
    """rms_norm_eps is not a number."""
    stated.set_value(draft, "rms_norm_eps", float("nan"))


@fault("metadata.text_for_number", "RC-71", formats=frozenset({Format.SAFETENSORS, Format.APR}))
def text_for_number(draft: Draft) -> None:
    """A number of heads is stored as text."""
    value = metadata_value(draft, "num_attention_heads")
    stated.set_value(draft, "num_attention_heads", f"{value} heads")


@fault("metadata.file_type", "T20", formats=_GGUF, requires="matrices in blocks")
def file_type(draft: Draft) -> None:
    """general.file_type says that all tensors are F32, though matrices are stored in blocks."""
    draft.require("matrix in blocks", where=lambda tensor: tensor.is_matrix and tensor.is_blocks)
    draft.header.main["general.file_type"] = 0
    draft.touch("general.file_type")


@fault("metadata.not_json", "RC-68", formats=_SAFETENSORS)
def not_json(draft: Draft) -> None:
    """config.json is cut off."""
    draft.header.documents.pop("config.json", None)
    draft.header.texts["config.json"] = b'{"architectures": ["'
    draft.touch("config.json", "missing")


@fault("metadata.duplicate_contradicts", "T20", formats=frozenset({Format.APR}), requires="a key under two names")
def duplicate_contradicts(draft: Draft) -> None:
    """A field and its dotted duplicate hold different values."""
    main = draft.header.main
    if main.get("num_layers") is None:
        raise draft.refuse("the product does not state num_layers")
    main["model.num_layers"] = main["num_layers"] + 1
    draft.touch("num_hidden_layers")
