"""Metadata of an opened model, whatever its format."""

from __future__ import annotations

from aprtui.formats.container import Container, Format
from aprtui.formats.metadata import apr, gguf, huggingface
from aprtui.formats.metadata.config import Draft, ModelConfig
from aprtui.formats.names import row_order

_HEADS = frozenset({"lm_head.weight", "output.weight", "embed_out.weight"})


def read_config(container: Container) -> ModelConfig:
    """What a model says about itself, in canonical terms.

    A value of the wrong type is recorded in `problems` and counts as absent; so is a config.json that is not JSON.

    Args:
        container: The opened model.
    """
    draft = Draft(container)
    facts = _tensor_facts(container)
    if container.format is Format.GGUF:
        raw, architecture = gguf.fill(draft, facts)
    elif container.format is Format.APR:
        raw, architecture = apr.fill(draft, facts)
    else:
        raw, architecture = huggingface.fill(draft)
    return ModelConfig(
        format=container.format,
        architecture=architecture,
        raw_architecture=raw,
        values=draft.values,
        explicit=frozenset(draft.explicit),
        origin=draft.origin,
        problems=tuple(draft.problems),
        row_orders=frozenset(row_order(container, name) for name in _names_in_layers(container)),
    )


def _names_in_layers(container: Container) -> list[str]:
    """Only rows of layers are rotated; a file may name its embedding otherwise."""
    return [tensor.name for tensor in container.tensors if any(part.isdecimal() for part in tensor.name.split("."))]


def _tensor_facts(container: Container) -> frozenset[str]:
    """What tensors say about the configuration: a head of its own, rope scaling kept as tensors."""
    facts = set()
    for tensor in container.tensors:
        if tensor.name in _HEADS and not tensor.is_placeholder:
            facts.add("lm_head")
        if tensor.name == "rope_freqs.weight":
            facts.add("rope_freqs")
        if tensor.name.startswith("rope_factors_"):
            facts.add("rope_factors")
    return frozenset(facts)
