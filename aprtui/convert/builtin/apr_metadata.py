"""The header of an APR as aprender 0.72 writes it, with what aprender forgets.

Rows are in Hugging Face's order under Hugging Face's names, and `rope_type` says so. What `AprV2Metadata` has no
field for stands under the name that Hugging Face gives it; readers that do not know a key pass over it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

from aprtui.convert.builtin.architecture_names import class_name
from aprtui.convert.builtin.facts import ModelFacts, short_number
from aprtui.convert.builtin.tensors import ProductTensor
from aprtui.formats.metadata.architectures import row_pairing
from aprtui.formats.metadata.keys import KEYS
from aprtui.formats.names import RowOrder
from aprtui.formats.tokenizer import TokenizerFacts
from aprtui.formats.tokenizer.gguf import MODELS

_TOKENIZER_MODELS = {model: name for name, model in MODELS.items()}
# Optional fields of `AprV2Metadata` that say nothing here; its writer spells them out too.
_UNKNOWN = ("license", "data_source", "data_license")
_BY_HAND = frozenset({"bos_token_id", "eos_token_id", "tie_word_embeddings", "rope_type"})


def apr_metadata(facts: ModelFacts, tensors: Sequence[ProductTensor], original_format: str) -> dict[str, Any]:
    """The header's JSON object.

    Args:
        facts: What the product says.
        tensors: Its tensors; their shapes are repeated in the header.
        original_format: Spelling of the source's format.
    """
    metadata: dict[str, Any] = {
        "model_type": facts.architecture,
        "name": facts.name,
        **dict.fromkeys(_UNKNOWN),
        "original_format": original_format,
        "total_size": 0,
        "param_count": sum(prod(tensor.view.shape) for tensor in tensors),
        "architecture": facts.architecture,
    }
    if (name := class_name(facts.architecture)) is not None:
        metadata["hf_architecture"] = name
    metadata["hf_model_type"] = facts.architecture
    for key in KEYS:
        value = facts.stated(key)
        if key.apr and key.name not in _BY_HAND and value is not None:
            metadata[key.apr[0]] = _json(value)
    pairing = row_pairing(facts.architecture, RowOrder.HF)
    if pairing is not None:
        metadata["rope_type"] = pairing
    if facts.values.get("tie_word_embeddings"):
        metadata["tied_embeddings"] = True
    metadata.update(_token_ids(facts))
    if facts.tokenizer is not None:
        metadata.update(_tokenizer(facts.tokenizer))
    metadata["tensor_shapes"] = {tensor.name: list(tensor.view.shape) for tensor in tensors}
    return metadata


def _json(value: object) -> object:
    if isinstance(value, float):
        return short_number(value)
    if isinstance(value, Mapping):
        return {name: _json(item) for name, item in value.items()}
    return [_json(item) for item in value] if isinstance(value, tuple) else value


def _token_ids(facts: ModelFacts) -> Iterator[tuple[str, int]]:
    for kind, number in (("bos", facts.bos), ("eos", facts.eos)):
        if number is not None:
            yield f"tokenizer.{kind}_token_id", number


def _tokenizer(tokenizer: TokenizerFacts) -> Iterator[tuple[str, Any]]:
    if tokenizer.model is not None:
        yield "tokenizer.model", _TOKENIZER_MODELS[tokenizer.model]
    if tokenizer.pre_tokenizer is not None and tokenizer.pre_tokenizer.name is not None:
        yield "tokenizer.pre_type", tokenizer.pre_tokenizer.name
    if tokenizer.vocabulary is not None:
        yield "tokenizer.vocabulary", list(tokenizer.vocabulary)
        yield "tokenizer.vocab_size", len(tokenizer.vocabulary)
    lists = {"merges": tokenizer.merges, "token_type": tokenizer.token_types, "scores": tokenizer.scores}
    for name, items in lists.items():
        if items is not None:
            yield f"tokenizer.{name}", list(items)
    if "pad" in tokenizer.special_ids:
        yield "tokenizer.padding_token_id", tokenizer.special_ids["pad"]
    if tokenizer.add_bos is not None:
        yield "tokenizer.add_bos_token", tokenizer.add_bos
    if tokenizer.chat_template is not None:
        yield "tokenizer.chat_template", tokenizer.chat_template
