"""What a product says about the model, before a format spells it: canonical values, the tokenizer, special ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aprtui.convert.builtin.rope_scaling import stated_scaling
from aprtui.convert.builtin.tensors import ProductTensor
from aprtui.core.errors import AprtuiError
from aprtui.formats.container import Format
from aprtui.formats.metadata.keys import Key
from aprtui.formats.metadata.values import Value
from aprtui.formats.model import Model
from aprtui.formats.tokenizer import TokenizerFacts


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Metadata and tokenizer of a product.

    Attributes:
        name: A name for people.
        architecture: Hugging Face's model_type.
        values: Value by canonical key; rope scaling is complete, the vocabulary is as large as the embedding.
        explicit: Keys that the source states itself.
        tokenizer: None where the source has none that is more than a stub.
        bos: The one id that a format with room for one gets.
        eos: Likewise.
    """

    name: str
    architecture: str
    values: Mapping[str, Any]
    explicit: frozenset[str]
    tokenizer: TokenizerFacts | None
    bos: int | None
    eos: int | None

    @property
    def states_head_dim(self) -> bool:
        """Whether the product must state head_dim: the source does, or it is not hidden_size / num_attention_heads."""
        head_dim, hidden, heads = (self.values.get(name) for name in ("head_dim", "hidden_size", "num_attention_heads"))
        follows = isinstance(heads, int) and isinstance(hidden, int) and heads and hidden // heads == head_dim
        return head_dim is not None and ("head_dim" in self.explicit or not follows)

    def stated(self, key: Key) -> Value | None:
        """The value that a product states; None where it needs none.

        A neutral value is left out, unless the key belongs to architectures whose readers insist on it.
        """
        value: Value | None = self.values.get(key.name)
        if (key.name == "head_dim" and not self.states_head_dim) or (key.gguf_only is None and value == key.neutral):
            return None
        return value


def model_facts(source: Model, tensors: Sequence[ProductTensor]) -> ModelFacts:
    """What a product of these tensors says.

    Raises:
        AprtuiError: The source says nothing about itself, or its rope scaling cannot be put into metadata.
    """
    if source.config.is_missing:
        raise AprtuiError("the source has no metadata, so no product can have any", file=source.path)
    values = dict(source.config.values)
    embedding = next((tensor.view for tensor in tensors if tensor.role == "token_embd.weight"), None)
    if embedding is not None:
        values["vocab_size"] = embedding.shape[0]
    scaling = stated_scaling(source)
    if scaling is not None:
        values["rope_scaling"] = scaling
    tokenizer = source.tokenizer
    tokenizer = None if tokenizer is None or tokenizer.stub else tokenizer
    return ModelFacts(
        name=_name(source),
        architecture=source.architecture,
        values=values,
        explicit=source.config.explicit,
        tokenizer=tokenizer,
        bos=source.one_id("bos"),
        eos=source.one_id("eos"),
    )


def _name(source: Model) -> str:
    stated = source.container.metadata.get("general.name") or source.container.metadata.get("name")
    if source.format is not Format.SAFETENSORS and isinstance(stated, str) and stated:
        return stated
    path = Path(source.path).resolve()
    return path.name if path.is_dir() else path.stem


def short_number(value: float) -> float:
    """The shortest decimal that stands for the same float32, where the value is one (1e-06, not 9.99999997e-07)."""
    as_float32 = np.float32(value)
    return float(str(as_float32)) if float(as_float32) == value else value
