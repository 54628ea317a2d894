"""Causes in the tokenizer, part by part; a vocabulary that differs is looked at token by token."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from aprtui.compare.tokenizer import compare_tokenizers
from aprtui.core.findings import LLAMA_CPP, Finding, LevelResult
from aprtui.core.outcomes import Level
from aprtui.diagnose.found import Failure, Found, difference, failing, found_at
from aprtui.formats.model import Model
from aprtui.formats.tokenizer import TokenizerFacts, TokenType
from aprtui.formats.tokenizer.facts import unused_name

_BY_PART = {
    "model": "tokenizer.kind",
    "token_types": "tokenizer.special_tokens_lost",
    "add_bos": "tokenizer.bos_or_eos_added",
    "add_eos": "tokenizer.bos_or_eos_added",
    "special_tokens": "tokenizer.special_id",
    "scores": "tokenizer.scores",
    "space_prefix": "tokenizer.space_prefix",
    # It fails only where every part that is stated holds.
    "ids": "tokenizer.rules",
    LLAMA_CPP: "tokenizer.not_loaded",
}
_LOST_OR_CHANGED = {
    "pre_tokenizer": ("tokenizer.pre_tokenizer_lost", "tokenizer.pre_tokenizer_wrong"),
    "chat_template": ("tokenizer.chat_template_lost", "tokenizer.chat_template_changed"),
    "merges": ("tokenizer.merges_lost", "tokenizer.merges_changed"),
}
_OF_KIND = ("model", "merges", "pre_tokenizer", "scores")
_FIELDS = (
    *("model", "vocabulary", "merges", "token_types", "scores", "add_bos", "add_eos", "pre_tokenizer"),
    *("chat_template", "named_templates", "special_ids", "space_prefix"),
)
_BYTE_ALPHABET = str.maketrans({"Ġ": " ", "Ċ": "\n", "ĉ": "\t"})
_VOCAB_SIZE: tuple[Failure, ...] = ((Level.METADATA, "vocab_size"), (Level.INTEGRITY, "vocab_size"))


def diagnose_tokenizer(source: Model, target: Model, result: LevelResult | None) -> list[Found]:
    """Causes of what failed at the tokenizer level."""
    left = failing(result)
    if not left:
        return []
    facts = target.tokenizer
    if "missing" in left or facts is None or source.tokenizer is None:
        stub = facts is not None and facts.stub is not None
        code = "tokenizer.stub" if stub else "tokenizer.missing"
        return [found_at(Level.TOKENIZER, code, tuple(left), next(iter(left.values()))[0].message)]
    return list(_parts(source.tokenizer, facts, left))


def _parts(source: TokenizerFacts, target: TokenizerFacts, left: dict[str, list[Finding]]) -> Iterator[Found]:
    yield from _together(source, target, left)
    for part, findings in left.items():
        first = findings[0]
        if part == "vocabulary":
            code = _vocabulary(source.vocabulary or (), target.vocabulary or ())
            yield found_at(Level.TOKENIZER, code, (part,), difference(first), *_VOCAB_SIZE)
        elif (kind := part.partition(".")[0]) in _LOST_OR_CHANGED:
            lost, changed = _LOST_OR_CHANGED[kind]
            code = lost if first.found == "missing" else changed
            yield found_at(Level.TOKENIZER, code, (part,), difference(first))
        elif part in _BY_PART:
            yield found_at(Level.TOKENIZER, _BY_PART[part], (part,), difference(first))


def _together(source: TokenizerFacts, target: TokenizerFacts, left: dict[str, list[Finding]]) -> Iterator[Found]:
    """Parts that fail together for one reason."""
    if "model" in left:
        # Another kind of tokenizer has no merges, scores or pre-tokenizer to compare.
        yield _taken("tokenizer.kind", [name for name in _OF_KIND if name in left], left)
    # Types that are not there at all have no part in what happened to the tokens.
    if {"vocabulary", "token_types"} <= left.keys() and left["token_types"][0].found != "missing":
        names = ["vocabulary", "token_types"]
        code = _vocabulary(source.vocabulary or (), target.vocabulary or ())
        if _only_special_ones_lost(source, target):
            names += ["special_tokens"] if "special_tokens" in left else []
            code = "tokenizer.special_tokens_lost"
        yield _taken(code, names, left)


def _taken(code: str, names: list[str], left: dict[str, list[Finding]]) -> Found:
    evidence = "; ".join(difference(left.pop(name)[0]) for name in names)
    return found_at(Level.TOKENIZER, code, names, evidence, *(_VOCAB_SIZE if "vocabulary" in names else ()))


def _only_special_ones_lost(source: TokenizerFacts, target: TokenizerFacts) -> bool:
    """Whether every token that is missing is one that is not plain text."""
    held, types = set(target.vocabulary or ()), source.token_types or ()
    kinds = [types[number] for number, text in enumerate(source.vocabulary or ()) if text not in held]
    return bool(kinds) and all(kind in (TokenType.CONTROL, TokenType.USER_DEFINED, TokenType.UNUSED) for kind in kinds)


def _vocabulary(source: Sequence[str], target: Sequence[str]) -> str:
    """The cause that fits the differences of two vocabularies."""
    ours, theirs = _used(source), _used(target)
    expected, found = Counter(ours), Counter(theirs)
    common = sum((expected & found).values())
    if any(count > max(1, expected[text]) for text, count in found.items()):
        return "tokenizer.tokens_repeated"
    if found == expected:
        return "tokenizer.vocabulary_order"
    if [text.translate(_BYTE_ALPHABET) for text in ours] == [text.translate(_BYTE_ALPHABET) for text in theirs]:
        return "tokenizer.bytes_as_characters"
    if len(theirs) < len(ours) and common == len(theirs):
        return "tokenizer.vocabulary_cut"
    if common * 2 < len(ours):
        return "tokenizer.other_model"
    return "tokenizer.tokens_changed"


def _used(vocabulary: Sequence[str]) -> list[str]:
    """Tokens without the unused ones that converters fill up with."""
    return [text for number, text in enumerate(vocabulary) if text != unused_name(number)]


def still_failing(source: Model, target: Model, causes: list[Found]) -> tuple[Finding, ...]:
    """What fails at the tokenizer level once every part that a cause names is the source's."""
    named = {name for cause in causes for level, name in cause.accounts_for if level is Level.TOKENIZER}
    facts, ours = target.tokenizer, source.tokenizer
    if ours is None or facts is None or facts.stub or named & {"missing", "file"}:
        return ()
    wanted = {"special_tokens": "special_ids"}
    fields = {name: "named_templates" if "." in name else wanted.get(name, name) for name in named}
    changed = {field: getattr(ours, field) for field in fields.values() if field in _FIELDS}
    problems = tuple(problem for problem in facts.problems if problem.subject not in named)
    return compare_tokenizers(ours, replace(facts, problems=problems, **changed)).failures
