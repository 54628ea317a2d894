"""The tokenizer of a GGUF: `tokenizer.ggml.*`, with llama.cpp's defaults (`llama_vocab::impl::load`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aprtui.core.findings import Finding
from aprtui.formats.container import Container
from aprtui.formats.tokenizer.arrays import flag, floats, integers, strings
from aprtui.formats.tokenizer.facts import DEFAULT_TEMPLATE, PreTokenizer, TokenizerFacts, TokenizerModel, problem
from aprtui.formats.tokenizer.pre_tokenizers import ADDS_BOS

MODELS = {
    "gpt2": TokenizerModel.BPE,
    "llama": TokenizerModel.SENTENCEPIECE,
    "bert": TokenizerModel.WORDPIECE,
    "t5": TokenizerModel.UNIGRAM,
}
SPECIAL_KEYS = {
    "pad": "padding_token_id",
    "unk": "unknown_token_id",
    "sep": "seperator_token_id",
    "cls": "cls_token_id",
    "mask": "mask_token_id",
    "eot": "eot_token_id",
    "eom": "eom_token_id",
}
"""Kind of special token -> its key after `tokenizer.ggml.`."""

NAMED_TEMPLATE = "tokenizer.chat_template."
TEMPLATE_NAMES = "tokenizer.chat_templates"


def read(container: Container) -> TokenizerFacts | None:
    """The tokenizer, or None where the file has no tokens."""
    raw = container.metadata
    if "tokenizer.ggml.tokens" not in raw:
        return None
    problems: list[Finding] = []
    spelt = raw.get("tokenizer.ggml.model")
    model = MODELS.get(spelt) if isinstance(spelt, str) else None
    if model is None:
        problems.append(problem("model", "no tokenizer model that we know", spelt, "tokenizer.ggml.model"))
    pre = raw.get("tokenizer.ggml.pre")
    pre = pre if isinstance(pre, str) else None
    add_bos = flag(raw, "tokenizer.ggml.add_bos_token", problems)
    add_eos = flag(raw, "tokenizer.ggml.add_eos_token", problems)
    prefix = flag(raw, "tokenizer.ggml.add_space_prefix", problems)
    by_default = model in (TokenizerModel.SENTENCEPIECE, TokenizerModel.WORDPIECE) or pre in ADDS_BOS
    return TokenizerFacts(
        format=container.format,
        model=model,
        vocabulary=strings(raw, "tokenizer.ggml.tokens", problems),
        merges=strings(raw, "tokenizer.ggml.merges", problems),
        token_types=integers(raw, "tokenizer.ggml.token_type", problems),
        scores=floats(raw, "tokenizer.ggml.scores", problems),
        special_ids=_special_ids(raw, problems),
        add_bos=by_default if add_bos is None else add_bos,
        add_eos=model in (TokenizerModel.WORDPIECE, TokenizerModel.UNIGRAM) if add_eos is None else add_eos,
        space_prefix=_space_prefix(model, prefix),
        replaces=flag(raw, "tokenizer.ggml.remove_extra_whitespaces", problems) is True
        or "tokenizer.ggml.precompiled_charsmap" in raw,
        pre_tokenizer=None if pre is None else PreTokenizer(pre),
        chat_template=_template(raw, problems),
        named_templates=_named_templates(raw),
        problems=tuple(problems),
    )


def _named_templates(raw: Mapping[str, Any]) -> dict[str, str]:
    """Templates under a name; engines take the default one from the key without a name, whatever else is called so."""
    found = {key.removeprefix(NAMED_TEMPLATE): text for key, text in raw.items() if key.startswith(NAMED_TEMPLATE)}
    return {name: text for name, text in found.items() if isinstance(text, str) and name != DEFAULT_TEMPLATE}


def _space_prefix(model: TokenizerModel | None, stated: bool | None) -> bool | None:
    """The flag with llama.cpp's default; kinds that never read it have none."""
    if model not in (TokenizerModel.SENTENCEPIECE, TokenizerModel.UNIGRAM):
        return None
    return model is TokenizerModel.SENTENCEPIECE if stated is None else stated


def _special_ids(raw: Mapping[str, Any], problems: list[Finding]) -> dict[str, int]:
    found = {}
    for kind, name in SPECIAL_KEYS.items():
        value = raw.get(f"tokenizer.ggml.{name}")
        if isinstance(value, int) and not isinstance(value, bool):
            found[kind] = value
        elif value is not None:
            problems.append(problem("special_tokens", "the value is not a token id", value, f"tokenizer.ggml.{name}"))
    return found


def _template(raw: Mapping[str, Any], problems: list[Finding]) -> str | None:
    value = raw.get("tokenizer.chat_template")
    if value is None or isinstance(value, str):
        return value
    problems.append(problem("chat_template", "the value is not text", type(value).__name__, "tokenizer.chat_template"))
    return None
