"""The tokenizer in an APR header: `tokenizer.*`, written under two sets of names by two importers."""

from __future__ import annotations

from aprtui.core.findings import Finding
from aprtui.formats.container import Container
from aprtui.formats.tokenizer.arrays import flag, floats, integers, strings
from aprtui.formats.tokenizer.facts import PreTokenizer, TokenizerFacts, TokenizerModel, problem
from aprtui.formats.tokenizer.gguf import MODELS

_MODELS = {
    **MODELS,
    "bpe": TokenizerModel.BPE,
    "unigram": TokenizerModel.UNIGRAM,
    "wordpiece": TokenizerModel.WORDPIECE,
    "spm": TokenizerModel.SENTENCEPIECE,
    "sentencepiece": TokenizerModel.SENTENCEPIECE,
}
_VOCABULARY = "tokenizer.vocabulary"


def read(container: Container) -> TokenizerFacts | None:
    """The tokenizer, or None where the header has no vocabulary."""
    raw = container.metadata
    if raw.get(_VOCABULARY) is None:
        return None
    problems: list[Finding] = []
    spelt = raw.get("tokenizer.model") or raw.get("tokenizer.model_type")
    model = _MODELS.get(spelt.lower()) if isinstance(spelt, str) else None
    if model is None:
        problems.append(problem("model", "no tokenizer model that we know", spelt, "tokenizer.model"))
    pre = raw.get("tokenizer.pre_type")
    pad = raw.get("tokenizer.padding_token_id")
    return TokenizerFacts(
        format=container.format,
        model=model,
        vocabulary=strings(raw, _VOCABULARY, problems),
        merges=strings(raw, "tokenizer.merges", problems),
        token_types=integers(raw, "tokenizer.token_type", problems),
        scores=floats(raw, "tokenizer.scores", problems),
        special_ids={"pad": pad} if isinstance(pad, int) and not isinstance(pad, bool) else {},
        add_bos=flag(raw, "tokenizer.add_bos_token", problems) or False,
        add_eos=None,
        pre_tokenizer=PreTokenizer(pre) if isinstance(pre, str) else None,
        chat_template=_text(raw.get("tokenizer.chat_template")) or _text(raw.get("chat_template")),
        problems=tuple(problems),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
