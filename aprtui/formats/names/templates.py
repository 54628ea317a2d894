"""Which tensor names an architecture has, as templates with `{layer}` and `{expert}` in place of indices.

GGUF's own table maps many checkpoint names onto one GGUF name (13 onto `blk.0.attn_q`), so the way back needs to know
which of them the architecture uses. The table is generated: scripts/generate_name_templates.py.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

# model_type of config.json -> member of gguf's MODEL_ARCH that llama.cpp's converter writes for it.
GGUF_ARCHITECTURES = {
    "falcon": "FALCON",
    "gemma": "GEMMA",
    "gemma2": "GEMMA2",
    "gemma3_text": "GEMMA3",
    "gpt2": "GPT2",
    "gpt_bigcode": "STARCODER",
    "granite": "GRANITE",
    "internlm2": "INTERNLM2",
    "llama": "LLAMA",
    "mistral": "LLAMA",
    "mixtral": "LLAMA",
    "olmo2": "OLMO2",
    "phi": "PHI2",
    "phi3": "PHI3",
    "qwen2": "QWEN2",
    "qwen2_moe": "QWEN2MOE",
    "qwen3": "QWEN3",
    "qwen3_moe": "QWEN3MOE",
    "stablelm": "STABLELM",
    "starcoder2": "STARCODER2",
}

# `general.architecture` of a GGUF, where it is spelt differently.
_GGUF_SPELLINGS = {
    "gemma3": "gemma3_text",
    "phi2": "phi",
    "qwen2moe": "qwen2_moe",
    "qwen3moe": "qwen3_moe",
    "starcoder": "gpt_bigcode",
}

_SPLIT_QKV = {
    "model.layers.{layer}.attention.wqkv.weight": tuple(
        f"model.layers.{{layer}}.self_attn.{part}_proj.weight" for part in "qkv"
    )
}

_LONGEST_INDEX = 18
_INDEX = re.compile(r"(?<=\.)\d+(?=\.)")


@dataclass(frozen=True, slots=True)
class ParsedName:
    """A name taken apart.

    Attributes:
        template: The name with `{layer}` for its first index and `{expert}` for its second.
        indices: The indices as written, at most two.
    """

    template: str
    indices: tuple[str, ...]

    @property
    def layer(self) -> int | None:
        """The first index as a number; None where there is none, or one that is longer than any layer's."""
        first = self.indices[0] if self.indices else ""
        return int(first) if 0 < len(first) <= _LONGEST_INDEX else None

    def fill(self, template: str) -> str:
        """Another template with this name's indices."""
        for placeholder, index in zip(("{layer}", "{expert}"), self.indices, strict=False):
            template = template.replace(placeholder, index)
        return template


def parse(name: str) -> ParsedName:
    """Take a name apart (`model.layers.3.mlp.experts.7.up_proj.weight` has the indices 3 and 7)."""
    indices = tuple(match.group() for match in _INDEX.finditer(name))[:2]
    template = name
    for placeholder in ("{layer}", "{expert}")[: len(indices)]:
        template = _INDEX.sub(placeholder, template, count=1)
    return ParsedName(template, indices)


def stacked(template: str) -> str:
    """Name of the one tensor that GGUF makes of all experts (StableLM: of all heads' norms)."""
    for middle in ("experts.{expert}.", "norms.{expert}."):
        template = template.replace(middle, "experts." if middle.startswith("experts") else "")
    return template


def gguf_side(template: str) -> tuple[str, ...]:
    """Templates of the tensors that GGUF makes of one checkpoint tensor, still in checkpoint terms.

    `wqkv` of InternLM2 becomes three tensors, named as llama's are; experts become one; all others stay themselves.
    """
    return _SPLIT_QKV.get(template, (stacked(template),))


@cache
def _table() -> dict[str, tuple[tuple[str, ...], ...]]:
    text = files(__package__).joinpath("templates.json").read_text(encoding="utf-8")
    tables = json.loads(text)
    return {model_type: tuple(tuple(names) for names in variants) for model_type, variants in tables.items()}


def known_architectures() -> tuple[str, ...]:
    """Every `model_type` that has a table."""
    return tuple(_table())


def model_type_of(architecture: str) -> str | None:
    """The `model_type` that an architecture's name stands for, in config.json's or GGUF's spelling.

    Returns:
        A key of the table, or None for an architecture without one.
    """
    model_type = _GGUF_SPELLINGS.get(architecture, architecture)
    return model_type if model_type in _table() else None


def variants(model_type: str) -> tuple[tuple[str, ...], ...]:
    """Templates per configuration of an architecture, the usual configuration first."""
    return _table()[model_type]


@cache
def templates(model_type: str) -> tuple[str, ...]:
    """Templates of all configurations of an architecture, each once."""
    return tuple(dict.fromkeys(name for variant in variants(model_type) for name in variant))


def checkpoint_names(architecture: str, product_names: tuple[str, ...], experts: int) -> tuple[str, ...]:
    """The checkpoint's names behind the tensors that GGUF made of them.

    Args:
        architecture: In config.json's or GGUF's spelling.
        product_names: Canonical names of the tensors in GGUF's order.
        experts: Entries of a stacked tensor.

    Returns:
        Names in the order of their products; a product of an unknown architecture keeps its name.
    """
    model_type = model_type_of(architecture)
    behind: dict[str, list[str]] = {}
    for template in templates(model_type) if model_type else ():
        for product in gguf_side(template):
            behind.setdefault(product, []).append(template)
    names: dict[str, None] = {}
    for product_name in product_names:
        parsed = parse(product_name)
        sources = behind.get(parsed.template, [])
        split = [template for template in sources if template != parsed.template]
        for template in split or [parsed.template]:
            filled = parsed.fill(template)
            count = experts if "{expert}" in filled else 1
            names.update((filled.replace("{expert}", str(index)), None) for index in range(count))
    return tuple(names)
