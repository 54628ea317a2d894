"""The special tokens that a chat template may name."""

from __future__ import annotations

from aprtui.formats.model import Model

_KINDS = ("bos", "eos", "unk", "pad")


def special_texts(model: Model) -> dict[str, str]:
    """`bos_token`, `eos_token`, `unk_token` and `pad_token` by name, as far as a model has them."""
    facts = model.tokenizer
    tokens = facts.vocabulary if facts is not None else None
    if facts is None or tokens is None:
        return {}
    ids = {**facts.special_ids, "bos": model.one_id("bos"), "eos": model.one_id("eos")}
    named = {kind: ids.get(kind) for kind in _KINDS}
    return {
        f"{kind}_token": tokens[number]
        for kind, number in named.items()
        if number is not None and 0 <= number < len(tokens)
    }
