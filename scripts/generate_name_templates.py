"""Writes aprtui/formats/names/templates.json: the tensor names that checkpoints of each architecture hold.

The names are read from files that transformers itself wrote (`save_pretrained` of a tiny random model per
configuration), because its modules can hold tensors under other names than its files do: the experts of a mixture
are one tensor in memory and one tensor per expert on disk.

Run with transformers installed: python scripts/generate_name_templates.py
"""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoModelForCausalLM

TARGET = Path(__file__).parent.parent / "aprtui/formats/names/templates.json"

SMALL = {
    "vocab_size": 32,
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 16,
    "tie_word_embeddings": False,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 0,
}
GPT2_SMALL = {
    "vocab_size": 32,
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 16,
    "tie_word_embeddings": False,
}
BIASED = {"attention_bias": True, "mlp_bias": True}
EXPERTS = {"num_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 16, "decoder_sparse_step": 1}

# The configurations of an architecture that differ in which tensors exist, the usual one first. Those that GGUF has no
# names for are left out (phi with qk_layernorm, falcon without parallel_attn, dense layers in qwen2_moe and qwen3_moe).
CONFIGURATIONS: dict[str, list[dict[str, Any]]] = {
    "qwen2": [SMALL],
    "qwen3": [{**SMALL, "head_dim": 16}, {**SMALL, "head_dim": 16, **BIASED}],
    "llama": [SMALL, {**SMALL, **BIASED}],
    "mistral": [SMALL],
    "mixtral": [{**SMALL, "num_local_experts": 2}],
    "gemma": [{**SMALL, "head_dim": 16}, {**SMALL, "head_dim": 16, **BIASED}],
    "gemma2": [{**SMALL, "head_dim": 16}, {**SMALL, "head_dim": 16, **BIASED}],
    "gemma3_text": [{**SMALL, "head_dim": 16}, {**SMALL, "head_dim": 16, **BIASED}],
    "phi": [SMALL],
    "phi3": [SMALL],
    "gpt2": [GPT2_SMALL],
    "granite": [SMALL, {**SMALL, **BIASED}],
    "starcoder2": [SMALL],
    "gpt_bigcode": [{**GPT2_SMALL, "multi_query": True}],
    "stablelm": [
        SMALL,
        {**SMALL, "use_qkv_bias": True},
        {**SMALL, "use_parallel_residual": True, "qk_layernorm": True},
    ],
    "olmo2": [SMALL],
    "falcon": [
        {**SMALL, "multi_query": True, "new_decoder_architecture": False, "parallel_attn": True},
        {**SMALL, "new_decoder_architecture": True, "num_kv_heads": 2},
    ],
    "qwen2_moe": [{**SMALL, **EXPERTS, "shared_expert_intermediate_size": 16}],
    "qwen3_moe": [{**SMALL, **EXPERTS, "head_dim": 16}],
}

# transformers has no class for InternLM2: these are the modules of internlm/internlm2-7b's modeling_internlm2.py
# (InternLM2ForCausalLM, InternLM2Attention, InternLM2MLP); its published configurations have no biases.
INTERNLM2 = [
    "model.layers.{layer}.attention.wo.weight",
    "model.layers.{layer}.attention.wqkv.weight",
    "model.layers.{layer}.attention_norm.weight",
    "model.layers.{layer}.feed_forward.w1.weight",
    "model.layers.{layer}.feed_forward.w2.weight",
    "model.layers.{layer}.feed_forward.w3.weight",
    "model.layers.{layer}.ffn_norm.weight",
    "model.norm.weight",
    "model.tok_embeddings.weight",
    "output.weight",
]


def template(name: str) -> str:
    """The name with its indices replaced: the first is the layer, a second one the expert or the head."""
    with_layer = re.sub(r"\.\d+\.", ".{layer}.", name, count=1)
    return re.sub(r"\.\d+\.", ".{expert}.", with_layer, count=1)


def saved_names(model_type: str, settings: dict[str, Any]) -> list[str]:
    """Names in the file that transformers saves for a tiny model of this configuration."""
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(model_type, **settings))
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        data = (Path(folder) / "model.safetensors").read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return [name for name in header if name != "__metadata__"]


def generate() -> dict[str, list[list[str]]]:
    """Templates per architecture, one list per configuration."""
    tables = {
        model_type: [sorted({template(name) for name in saved_names(model_type, settings)}) for settings in variants]
        for model_type, variants in CONFIGURATIONS.items()
    }
    tables["internlm2"] = [INTERNLM2]
    return dict(sorted(tables.items()))


def main() -> None:
    """Write the table."""
    TARGET.write_text(json.dumps(generate(), indent=1) + "\n")


if __name__ == "__main__":
    main()
