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
    ids: dict[str, int] = dict(facts.special_ids)
    for kind in ("bos", "eos"):
        stated: tuple[int, ...] = model.config.values.get(f"{kind}_token_id", ())
        if stated:
            ids[kind] = stated[0]
    return {f"{kind}_token": tokens[ids[kind]] for kind in _KINDS if kind in ids and ids[kind] < len(tokens)}
