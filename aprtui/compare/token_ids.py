"""The tokenizer level's second half: what both tokenizers do with texts and conversations, beside what they state."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from aprtui.compare.chat_template import compare_rendered
from aprtui.compare.tokenizer import IDS_NOT_CHECKED, TEMPLATE, compare_tokenizers
from aprtui.core.findings import LLAMA_CPP, Finding, LevelResult, judge_level
from aprtui.core.outcomes import Level, Severity
from aprtui.core.safe_text import is_unicode
from aprtui.formats.container import Format
from aprtui.formats.model import Model
from aprtui.formats.tokenizer import TokenizerModel
from aprtui.inference.tokenizers import PROBES, NoEncoderError, encode_texts, rebuilt_ids
from aprtui.inference.tokenizers.probes import special_probes

_SHOWN = 6
_LONGEST_TEXT = 60


@dataclass(frozen=True, slots=True)
class _Difference:
    """A text whose ids differ, from position `at` on."""

    text: str
    expected: tuple[int, ...]
    found: tuple[int, ...]
    at: int


def tokenizer_level(source: Model, target: Model, prompts: Sequence[str] = ()) -> LevelResult:
    """Compare two tokenizers by their parts, by the ids they give, and by the conversations they render.

    Args:
        source: The reference.
        target: The product.
        prompts: Texts to turn into ids besides the probes.
    """
    stated = compare_tokenizers(source.tokenizer, target.tokenizer)
    a, b = source.tokenizer, target.tokenizer
    if a is None or a.stub or b is None or b.stub:
        return stated
    findings = [finding for finding in stated.findings if not _is_template(finding)]
    not_checked = [part for part in stated.not_checked if part != IDS_NOT_CHECKED]
    wanted = tuple(dict.fromkeys((*PROBES, *special_probes(a), *prompts)))
    texts = tuple(text for text in wanted if is_unicode(text))
    if len(texts) < len(wanted):
        # No tokenizer takes them, and the other texts are not to go with them.
        not_checked.append(f"ids: {len(wanted) - len(texts)} texts are no Unicode")
    checked = stated.checked
    try:
        ids = _compare_ids(source, target, texts)
        checked += len(texts)
    except NoEncoderError as error:
        not_checked.append(f"ids: {error.message}")
        ids = _refused(error.refused)
    # Parts that differ are the cause; ids that differ as well are what comes of it, not one more failure. A chat
    # template changes no id.
    is_explained = any(not _is_template(finding) for finding in stated.failures)
    findings += [replace(finding, severity=Severity.NOTE) for finding in ids] if is_explained else ids
    rendered = compare_rendered(source, target)
    # A template that one side lacks is judged by what is stated; two templates by what they do.
    findings += [one for one in stated.findings if _is_template(one) and one.subject not in rendered.judged]
    findings += rendered.findings
    not_checked += rendered.not_checked
    return judge_level(
        Level.TOKENIZER, findings, checked=checked + rendered.checked, not_checked=tuple(dict.fromkeys(not_checked))
    )


def stored_ids_level(stored: Mapping[str, tuple[int, ...]], target: Model) -> LevelResult:
    """The ids of a product's tokenizer where the source is not at hand.

    Args:
        stored: Texts and what the source's tokenizer made of them, or the beginning of that.
        target: The product.
    """
    if not stored:
        return judge_level(Level.TOKENIZER, (), checked=0, not_checked=("ids: none of the source's are known",))
    try:
        found = encode_texts(target, tuple(stored))
    except NoEncoderError as error:
        missing = (f"ids: target: {error.problem}",)
        return judge_level(Level.TOKENIZER, _refused(error.refused), checked=0, not_checked=missing)
    begun = [ids[: len(expected)] for ids, expected in zip(found.ids, stored.values(), strict=True)]
    failing = [each for each in _differing(tuple(stored), tuple(stored.values()), begun) if _is_composed(each.text)]
    findings = _refused(found.refused)
    if failing:
        findings.append(_failure(failing, len(stored), None, target, f"target: {found.how}"))
    return judge_level(Level.TOKENIZER, findings, checked=len(stored))


def _is_template(finding: Finding) -> bool:
    return finding.subject.partition(".")[0] == TEMPLATE


def _compare_ids(source: Model, target: Model, texts: tuple[str, ...]) -> list[Finding]:
    sides = []
    for side, model in (("source", source), ("target", target)):
        try:
            sides.append(encode_texts(model, texts))
        except NoEncoderError as error:
            told = NoEncoderError(f"{side}: {error.problem}", todo=error.todo)
            told.refused = error.refused if side == "target" else ""
            raise told from None
    a, b = sides
    refused = _refused(b.refused) if b.refused != a.refused else []
    how = f"source: {a.how}; target: {b.how}"
    same = Finding(Level.TOKENIZER, "ids", f"{len(texts)} texts were turned into ids ({how})", Severity.NOTE)
    differing = _differing(texts, a.ids, b.ids)
    failing = [each for each in differing if _is_composed(each.text)]
    of_engine = _of_llama(failing, target)
    failing = [each for each in failing if each not in of_engine]
    findings = [*refused, *([same] if not failing else [])]
    if failing:
        findings.append(_failure(failing, len(texts), source, target, how))
    if of_engine:
        message = f"llama.cpp splits {len(of_engine)} texts otherwise than the target's facts say, which agree"
        findings.append(Finding(Level.TOKENIZER, "ids", message, Severity.NOTE, found=repr(of_engine[0].text)))
    if any(not _is_composed(each.text) for each in differing):
        message = "texts that are not in Unicode's composed form differ: one side composes first"
        findings.append(Finding(Level.TOKENIZER, "ids", message, Severity.NOTE))
    return findings


def _differing(
    texts: Sequence[str], expected: Sequence[Sequence[int]], found: Sequence[Sequence[int]]
) -> list[_Difference]:
    return [
        _Difference(text, tuple(ours), tuple(theirs), _first(ours, theirs))
        for text, ours, theirs in zip(texts, expected, found, strict=True)
        if ours != theirs
    ]


def _of_llama(failing: Sequence[_Difference], target: Model) -> list[_Difference]:
    """Texts of which a tokenizer rebuilt from the same WordPiece file gives the source's ids.

    llama.cpp drops the vowel signs of several scripts and Hangul's vowels; no key of the file asks for that.
    """
    facts = target.tokenizer
    if not failing or facts is None or target.format is not Format.GGUF or facts.model is not TokenizerModel.WORDPIECE:
        return []
    ids = rebuilt_ids(target, [each.text for each in failing]) or ()
    return [each for each, rebuilt in zip(failing, ids, strict=False) if rebuilt == each.expected]


def _refused(words: str) -> list[Finding]:
    """llama.cpp's refusal of the target's vocabulary: nobody can run the file there."""
    if not words:
        return []
    message = "llama.cpp does not load the target's tokenizer"
    return [Finding(Level.TOKENIZER, LLAMA_CPP, message, expected="a tokenizer that llama.cpp loads", found=words)]


def _failure(failing: Sequence[_Difference], count: int, source: Model | None, target: Model, how: str) -> Finding:
    first = min(failing, key=lambda each: len(each.text))
    ends = _ends(failing)
    message = f"ids of {len(failing)} of {count} texts differ"
    message += f": {ends}" if ends else f", the first from token {first.at} on: {first.text[:_LONGEST_TEXT]!r}"
    return Finding(
        Level.TOKENIZER,
        "ids",
        message,
        expected=_split(source, first.expected, first.at),
        found=_split(target, first.found, first.at),
        place=how,
    )


def _ends(failing: Sequence[_Difference]) -> str:
    """What is the same everywhere: a token in front or behind that one side alone puts there."""
    pairs = [(each.expected, each.found) for each in failing]
    cases = {
        "the target puts no token in front of a text": [(a[1:], b) for a, b in pairs],
        "the target puts a token in front of a text that the source does not": [(a, b[1:]) for a, b in pairs],
        "another token stands in front of a text": [(a[1:], b[1:]) for a, b in pairs],
        "the target puts no token behind a text": [(a[:-1], b) for a, b in pairs],
        "the target puts a token behind a text that the source does not": [(a, b[:-1]) for a, b in pairs],
    }
    return next((words for words, cut in cases.items() if all(a == b for a, b in cut)), "")


def _first(expected: Sequence[int], found: Sequence[int]) -> int:
    return next(at for at, (a, b) in enumerate(zip_longest(expected, found)) if a != b)


def _split(model: Model | None, ids: Sequence[int], at: int) -> str:
    """The tokens from a position on, each with its text where the model is at hand."""
    tokens = (model.tokenizer.vocabulary if model and model.tokenizer else None) or ()
    shown = [f"{number} {tokens[number]!r}" if number < len(tokens) else str(number) for number in ids[at:][:_SHOWN]]
    return " | ".join(shown) + (" | …" if len(ids) > at + _SHOWN else "") if shown else "nothing more"


def _is_composed(text: str) -> bool:
    return unicodedata.is_normalized("NFC", text)
