"""Writes a model of random weights with the exact geometry of a Qwen2.5-Coder, for measuring speed and memory.

Benchmarks need real tensor shapes and sizes, not a download. The values have the spread of trained weights:
norms 1 + 0.1 N, biases 0.1 N, weights 0.02 N, with N standard normal. Memory stays at one tile of values.

    python benchmarks/make_synthetic_model.py --geometry 0.5b output/synthetic-0.5b
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from synthetic_tokenizer import write_tokenizer

from aprtui.core.dtypes import DType
from aprtui.formats.output import TensorToWrite
from aprtui.formats.safetensors.writer import write_safetensors

TILE = 1 << 22
"""Elements generated at a time."""

VOCABULARY = 151936


@dataclass(frozen=True, slots=True)
class Geometry:
    """Sizes of a qwen2, as in its config.json, and what they must add up to."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    key_value_heads: int
    parameters: int
    tensors: int

    @property
    def key_value_width(self) -> int:
        """Rows of k_proj and v_proj."""
        return self.hidden // self.heads * self.key_value_heads


# Parameter and tensor counts: the headers of Qwen/Qwen2.5-Coder-0.5B and -1.5B.
GEOMETRIES = {
    "0.5b": Geometry(896, 4864, 24, 14, 2, parameters=494_032_768, tensors=290),
    "1.5b": Geometry(1536, 8960, 28, 12, 2, parameters=1_543_714_304, tensors=338),
}


def shapes(geometry: Geometry) -> dict[str, tuple[int, ...]]:
    """Every stored tensor with its shape, in file order; the head is tied and therefore not stored."""
    hidden, width = geometry.hidden, geometry.key_value_width
    block: dict[str, tuple[int, ...]] = {
        "input_layernorm.weight": (hidden,),
        "mlp.down_proj.weight": (hidden, geometry.intermediate),
        "mlp.gate_proj.weight": (geometry.intermediate, hidden),
        "mlp.up_proj.weight": (geometry.intermediate, hidden),
        "post_attention_layernorm.weight": (hidden,),
        "self_attn.k_proj.bias": (width,),
        "self_attn.k_proj.weight": (width, hidden),
        "self_attn.o_proj.weight": (hidden, hidden),
        "self_attn.q_proj.bias": (hidden,),
        "self_attn.q_proj.weight": (hidden, hidden),
        "self_attn.v_proj.bias": (width,),
        "self_attn.v_proj.weight": (width, hidden),
    }
    stored: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (VOCABULARY, hidden)}
    for layer in range(geometry.layers):
        stored.update({f"model.layers.{layer}.{name}": shape for name, shape in block.items()})
    stored["model.norm.weight"] = (hidden,)
    return stored


def to_bfloat16(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Bits of the nearest bfloat16, ties to even; finite values only."""
    bits = values.view(np.uint32)
    return ((bits + (0x7FFF + ((bits >> 16) & 1))) >> 16).astype(np.uint16)


def tiles(name: str, elements: int, generator: np.random.Generator) -> Iterator[memoryview]:
    """The tensor's bfloat16 bits, little-endian, at most TILE elements at a time."""
    is_norm, is_bias = "norm" in name, name.endswith(".bias")
    spread = np.float32(0.1 if is_norm or is_bias else 0.02)
    centre = np.float32(1.0 if is_norm else 0.0)
    for start in range(0, elements, TILE):
        normal = generator.standard_normal(min(TILE, elements - start), dtype=np.float32)
        yield to_bfloat16(centre + spread * normal).astype("<u2", copy=False).data


def config(geometry: Geometry) -> dict[str, object]:
    """The model's config.json, with Qwen2.5-Coder's own values."""
    return {
        "architectures": ["Qwen2ForCausalLM"],
        "attention_dropout": 0.0,
        "bos_token_id": 151643,
        "eos_token_id": 151645,
        "hidden_act": "silu",
        "hidden_size": geometry.hidden,
        "initializer_range": 0.02,
        "intermediate_size": geometry.intermediate,
        "max_position_embeddings": 32768,
        "max_window_layers": geometry.layers,
        "model_type": "qwen2",
        "num_attention_heads": geometry.heads,
        "num_hidden_layers": geometry.layers,
        "num_key_value_heads": geometry.key_value_heads,
        "rms_norm_eps": 1e-06,
        "rope_theta": 1000000.0,
        "sliding_window": 32768,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "use_cache": True,
        "use_sliding_window": False,
        "vocab_size": VOCABULARY,
    }


def make(folder: Path, geometry: Geometry, seed: int) -> None:
    """Write model.safetensors, config.json and a tokenizer into a folder."""
    stored = shapes(geometry)
    if (len(stored), sum(map(prod, stored.values()))) != (geometry.tensors, geometry.parameters):
        raise SystemExit("the shapes do not add up to the model's own counts")
    folder.mkdir(parents=True, exist_ok=True)
    tensors = (
        (name, DType.BF16, shape, tiles(name, prod(shape), np.random.default_rng((seed, index))))
        for index, (name, shape) in enumerate(stored.items())
    )
    write_safetensors(folder / "model.safetensors", map(TensorToWrite._make, tensors), {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config(geometry), indent=2) + "\n", encoding="utf-8")
    write_tokenizer(folder)


def main() -> None:
    """Read the command line and write the model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where to write the model")
    parser.add_argument("--geometry", choices=GEOMETRIES, default="0.5b", help="whose sizes to take (default: 0.5b)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random values (default: 0)")
    arguments = parser.parse_args()
    make(arguments.folder, GEOMETRIES[arguments.geometry], arguments.seed)


if __name__ == "__main__":
    main()
