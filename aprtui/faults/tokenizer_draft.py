"""The parts of a tokenizer as faults edit them, under each format's own names."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass

from aprtui.faults.draft import Draft
from aprtui.faults.header_draft import RawValue
from aprtui.formats.container import Format
from aprtui.formats.tokenizer import TokenizerModel

_GGUF = {
    "model": "tokenizer.ggml.model",
    "vocabulary": "tokenizer.ggml.tokens",
    "merges": "tokenizer.ggml.merges",
    "token_types": "tokenizer.ggml.token_type",
    "scores": "tokenizer.ggml.scores",
    "pre_tokenizer": "tokenizer.ggml.pre",
    "add_bos": "tokenizer.ggml.add_bos_token",
    "add_eos": "tokenizer.ggml.add_eos_token",
    "pad": "tokenizer.ggml.padding_token_id",
    "chat_template": "tokenizer.chat_template",
}
_APR = {
    "vocabulary": "tokenizer.vocabulary",
    "merges": "tokenizer.merges",
    "token_types": "tokenizer.token_type",
    "scores": "tokenizer.scores",
    "pre_tokenizer": "tokenizer.pre_type",
    "add_bos": "tokenizer.add_bos_token",
    "pad": "tokenizer.padding_token_id",
    "chat_template": "tokenizer.chat_template",
}

# Other kinds of tokenizers split and merge without them.
_OF_BPE = frozenset({"merges", "pre_tokenizer"})


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a tokenizer in the place where it is stored.

    Attributes:
        mapping: What holds it.
        name: Its raw name there.
    """

    mapping: MutableMapping[str, RawValue]
    name: str

    @property
    def value(self) -> RawValue:
        """The stored value; None where there is none."""
        return self.mapping.get(self.name)

    def set(self, value: RawValue) -> None:
        """Store another value."""
        self.mapping[self.name] = value

    def remove(self) -> None:
        """Store none."""
        self.mapping.pop(self.name, None)


def part(draft: Draft, name: str) -> Part:
    """A part that the product states, by the name that findings use.

    Raises:
        NotApplicableError: The product does not state it.
    """
    facts = draft.model.tokenizer
    if name in _OF_BPE and (facts is None or facts.model is not TokenizerModel.BPE):
        raise draft.refuse(f"the tokenizer of the product needs no {name}")
    found = _part(draft, name)
    if found is None or found.value is None:
        raise draft.refuse(f"the tokenizer of the product has no {name}")
    draft.touch("special_tokens" if name == "pad" else name)
    return found


def _part(draft: Draft, name: str) -> Part | None:
    main = draft.header.main
    if draft.format is Format.GGUF:
        return Part(main, _GGUF[name])
    if draft.format is Format.APR:
        raw = _APR.get(name)
        if name == "model":
            raw = "tokenizer.model" if main.get("tokenizer.model") is not None else "tokenizer.model_type"
        return None if raw is None else Part(main, raw)
    return _hf_part(draft, name)


def _hf_part(draft: Draft, name: str) -> Part | None:
    whole = draft.header.documents.get("tokenizer.json", {})
    model = whole.get("model", {})
    if name in ("vocabulary", "merges"):
        return Part(model, {"vocabulary": "vocab"}.get(name, name))
    if name == "model":
        return Part(model, "type")
    if name == "token_types":
        return Part(whole, "added_tokens")
    if name == "pre_tokenizer":
        return Part(whole, name)
    if name == "pad":
        return Part(draft.header.main, "pad_token_id")
    if name == "chat_template":
        file = Part(draft.header.texts, "chat_template.jinja")
        stated = Part(draft.header.documents.get("tokenizer_config.json", {}), name)
        return stated if file.value is None and stated.value is not None else file
    return None


def tokens(draft: Draft) -> list[str]:
    """The vocabulary by id, without the tokens that tokenizer.json keeps apart."""
    stored = part(draft, "vocabulary").value
    if isinstance(stored, dict):
        return sorted(stored, key=lambda text: int(stored[text]))
    return list(stored)


def set_tokens(draft: Draft, texts: list[str]) -> None:
    """Replace the vocabulary, ids counted from 0."""
    stored = part(draft, "vocabulary")
    stored.set({text: number for number, text in enumerate(texts)} if isinstance(stored.value, dict) else texts)
