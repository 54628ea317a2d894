"""Makes tests/data/architectures: tiny random checkpoints, and what llama.cpp's own converter makes of them.

Needs transformers and a copy of llama.cpp (its `convert_hf_to_gguf.py` and `conversion/`; llama-cpp-python's source
archive holds one under vendor/):

    python scripts/make_architecture_pairs.py LLAMA_CPP_FOLDER

Tokenizers are left out on both sides: the converter's `set_vocab` is replaced, because the pairs are about tensors.
"""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

TARGET = Path(__file__).parent.parent / "tests/data/architectures"

SMALL = {
    "vocab_size": 48,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "tie_word_embeddings": False,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 0,
}
GPT2_SMALL = {
    "vocab_size": 48,
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 16,
    "bos_token_id": 0,
    "eos_token_id": 0,
}
EXPERTS = {"num_experts": 3, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "long_factor": [1.0, 1.5, 2.25, 4.1],
    "short_factor": [1.0, 1.02, 1.03, 1.3],
    "original_max_position_embeddings": 32,
}


@dataclass(frozen=True)
class Pair:
    """One tiny model.

    Attributes:
        model_type: Architecture.
        settings: Of its configuration.
        dtype: Of the checkpoint.
        tokens: Entries of a stand-in tokenizer.json, where the converter counts them.
    """

    model_type: str
    settings: dict[str, Any] = field(default_factory=lambda: dict(SMALL))
    dtype: torch.dtype = torch.bfloat16
    tokens: int | None = None


PAIRS = {
    "falcon": Pair("falcon", {**SMALL, "multi_query": True, "parallel_attn": True, "num_kv_heads": 1}),
    "falcon-new": Pair("falcon", {**SMALL, "new_decoder_architecture": True, "num_kv_heads": 2}),
    "gemma": Pair(
        "gemma", {**SMALL, "head_dim": 16, "num_hidden_layers": 1, "tie_word_embeddings": True}, torch.float32
    ),
    "gemma2": Pair("gemma2", {**SMALL, "head_dim": 16, "tie_word_embeddings": True, "sliding_window": 8}),
    "gemma3-cut": Pair("gemma3_text", {**SMALL, "head_dim": 16, "tie_word_embeddings": True}, tokens=45),
    "gemma3-f16": Pair("gemma3_text", {**SMALL, "head_dim": 16, "num_hidden_layers": 1}, torch.float16, tokens=48),
    "gpt_bigcode": Pair("gpt_bigcode", {**GPT2_SMALL, "multi_query": True}),
    "granite": Pair("granite", {**SMALL, "attention_bias": True}),
    "internlm2": Pair("internlm2"),
    "llama-bias-rope": Pair("llama", {**SMALL, "attention_bias": True, "rope_parameters": LLAMA3_ROPE}),
    "mistral": Pair("mistral", {**SMALL, "head_dim": 16}),
    "mixtral": Pair("mixtral", {**SMALL, "num_local_experts": 3, "intermediate_size": 16}),
    "olmo2": Pair("olmo2"),
    "phi": Pair("phi", {**SMALL, "num_key_value_heads": 4}),
    "phi3-longrope": Pair("phi3", {**SMALL, "rope_parameters": LONGROPE}),
    "qwen2_moe": Pair("qwen2_moe", {**SMALL, **EXPERTS, "shared_expert_intermediate_size": 24}),
    "qwen3_moe": Pair("qwen3_moe", {**SMALL, **EXPERTS, "head_dim": 16}),
    "stablelm": Pair("stablelm", {**SMALL, "use_qkv_bias": True}),
    "starcoder2": Pair("starcoder2"),
}


def internlm2_checkpoint() -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Tensors and configuration in the names of internlm/internlm2-7b, for which transformers has no class."""
    hidden, middle, head_rows = SMALL["hidden_size"], SMALL["intermediate_size"], 8 * (4 + 2 * 2)
    shapes: dict[str, tuple[int, ...]] = {
        "model.tok_embeddings.weight": (48, hidden),
        "output.weight": (48, hidden),
        "model.norm.weight": (hidden,),
    }
    for layer in range(2):
        shapes |= {
            f"model.layers.{layer}.attention.wqkv.weight": (head_rows, hidden),
            f"model.layers.{layer}.attention.wo.weight": (hidden, hidden),
            f"model.layers.{layer}.attention_norm.weight": (hidden,),
            f"model.layers.{layer}.ffn_norm.weight": (hidden,),
            f"model.layers.{layer}.feed_forward.w1.weight": (middle, hidden),
            f"model.layers.{layer}.feed_forward.w3.weight": (middle, hidden),
            f"model.layers.{layer}.feed_forward.w2.weight": (hidden, middle),
        }
    names = {"model_type": "internlm2", "architectures": ["InternLM2ForCausalLM"], "rms_norm_eps": 1e-5}
    return {name: torch.empty(shape) for name, shape in shapes.items()}, {**SMALL, **names}


def write_checkpoint(pair: Pair, folder: Path) -> None:
    """Save a checkpoint whose every element is random, norms and biases included."""
    folder.mkdir(parents=True)
    if pair.model_type == "internlm2":
        tensors, config = internlm2_checkpoint()
        (folder / "config.json").write_text(json.dumps(config, indent=1))
    else:
        configuration = AutoConfig.for_model(pair.model_type, **pair.settings)
        AutoModelForCausalLM.from_config(configuration).save_pretrained(folder)
        tensors = load_file(folder / "model.safetensors")
        (folder / "generation_config.json").unlink(missing_ok=True)
    generator = torch.Generator().manual_seed(len(tensors))
    noise = {
        name: (torch.randn(tensor.shape, generator=generator) * 0.5).to(pair.dtype) for name, tensor in tensors.items()
    }
    save_file(noise, folder / "model.safetensors", {"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
    if pair.tokens is not None:
        vocabulary = {"model": {"vocab": {f"t{i}": i for i in range(pair.tokens)}}, "added_tokens": []}
        (folder / "tokenizer.json").write_text(json.dumps(vocabulary))


def convert(source: Path, target: Path) -> None:
    """Run llama.cpp's converter on a checkpoint without its tokenizer."""
    conversion = importlib.import_module("conversion")
    base = importlib.import_module("conversion.base")
    hparams = base.ModelBase.load_hparams(source, False)
    model_class = conversion.get_model_class(base.get_model_architecture(hparams, base.ModelType.TEXT))
    model_class.set_vocab = lambda self: None
    target.parent.mkdir(parents=True)
    with torch.inference_mode():
        model = model_class(source, base.gguf.LlamaFileType.MOSTLY_BF16, target)
        model.write()


def main() -> None:
    """Make every pair anew."""
    sys.path.insert(0, sys.argv[1])
    sys.path.insert(1, f"{sys.argv[1]}/gguf-py")
    for name, pair in PAIRS.items():
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / name
            write_checkpoint(pair, folder / "hf")
            convert(folder / "hf", folder / "gguf/bf16.gguf")
            for file in sorted(path for path in folder.rglob("*") if path.is_file()):
                copy = TARGET / name / file.relative_to(folder)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(file.read_bytes())


if __name__ == "__main__":
    main()
