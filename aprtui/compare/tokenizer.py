"""The tokenizer level: do both models turn text into the same ids, as far as their files tell?

Each part is judged by itself, so that a lost flag does not hide a lost vocabulary. bos and eos are metadata.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import zip_longest

import numpy as np

from aprtui.core.findings import Finding, LevelResult, judge_level, on_side
from aprtui.core.outcomes import Level, Severity
from aprtui.formats.container import Format
from aprtui.formats.tokenizer import TokenizerFacts, TokenizerModel, TokenType
from aprtui.formats.tokenizer.facts import PreTokenizer, unused_name
from aprtui.formats.tokenizer.pre_tokenizers import split_class

# Special ids that a format has a key for; GGUF and tokenizer files have all of them.
_SPECIAL_KINDS = {Format.APR: frozenset({"pad"})}
_WITHOUT_ADD_EOS = _WITHOUT_NAMED_TEMPLATES = frozenset({Format.APR})
TEMPLATE = "chat_template"
"""The default chat template; "chat_template.NAME" is one that is named."""
IDS_NOT_CHECKED = "ids: not checked"
"""What the parts of a tokenizer leave open: `token_ids` compares ids."""
_SHOWN = 80


def compare_tokenizers(source: TokenizerFacts | None, target: TokenizerFacts | None) -> LevelResult:
    """Compare every part of two tokenizers.

    Args:
        source: The reference's tokenizer; None where it has none.
        target: The product's.

    Returns:
        One finding for each part that differs, with the subject "missing" where the target has no tokenizer at all.
        `checked` counts tokens. Skipped where the source has none. "ids: not checked" always stands under what was
        not checked: no text is turned into ids here.
    """
    if source is None or source.stub:
        reason = "tokenizer: the source has none" if source is None else f"tokenizer: the source's {source.stub}"
        problems = on_side(source.problems if source else ())
        return judge_level(Level.TOKENIZER, problems, checked=0, not_checked=(reason, IDS_NOT_CHECKED))
    if target is None or target.stub:
        message = "the target has no tokenizer at all" if target is None else f"the target's {target.stub}"
        finding = Finding(Level.TOKENIZER, "missing", message, expected=_summary(source), found="none")
        return judge_level(
            Level.TOKENIZER, [finding, *(target.problems if target else ())], checked=1, not_checked=(IDS_NOT_CHECKED,)
        )
    return _Comparison(source, target).result()


class _Comparison:
    def __init__(self, source: TokenizerFacts, target: TokenizerFacts) -> None:
        self.source = source
        self.target = target
        self.findings: list[Finding] = [*on_side(source.problems), *target.problems]
        self.not_checked: list[str] = []
        self.tokens = _used(source.vocabulary)

    def result(self) -> LevelResult:
        self._model()
        self._vocabulary()
        self._merges()
        self._token_types()
        self._scores()
        self._special_tokens()
        self._pre_tokenizer()
        self._flag("add_bos", self.source.add_bos, self.target.add_bos)
        if self.target.format in _WITHOUT_ADD_EOS and self.source.add_eos:
            self.not_checked.append(f"add_eos: {self.target.format} has no key for it")
        elif self.target.format not in _WITHOUT_ADD_EOS:
            self._flag("add_eos", self.source.add_eos, self.target.add_eos)
        if {self.source.space_prefix, self.target.space_prefix} != {None}:
            self._flag("space_prefix", self.source.space_prefix, self.target.space_prefix)
        self._chat_template()
        self._named_templates()
        return judge_level(
            Level.TOKENIZER,
            self.findings,
            checked=max(self.tokens, 1),
            not_checked=(*self.not_checked, IDS_NOT_CHECKED),
        )

    def _fail(self, part: str, message: str, expected: str, found: str) -> None:
        self.findings.append(Finding(Level.TOKENIZER, part, message, expected=expected, found=found))

    def _lacks(self, part: str, expected: str) -> None:
        self._fail(part, f"the target lacks {part}", expected, "missing")

    def _model(self) -> None:
        expected, found = self.source.model, self.target.model
        if expected is None or found is None:
            self.not_checked.append("model: one side names no kind of tokenizer that we know")
        elif expected is not found:
            self._fail("model", "the kinds of tokenizer differ", expected, found)

    def _vocabulary(self) -> None:
        expected, found = self.source.vocabulary, self.target.vocabulary
        if expected is None:
            self.not_checked.append("vocabulary: the source has none that can be read")
            return
        if found is None:
            self._lacks("vocabulary", f"{self.tokens} tokens")
            return
        if self.source.model is self.target.model is TokenizerModel.WORDPIECE:
            expected, found = [_plain_brackets(text) for text in expected], [_plain_brackets(text) for text in found]
        held = _used(found)
        first, count = _first_difference(expected, found, max(self.tokens, held))
        if first is not None:
            self._fail(
                "vocabulary",
                f"{count} of {max(self.tokens, held)} tokens differ, the first at id {first}",
                _at(expected, first, self.tokens),
                _at(found, first, held),
            )

    def _merges(self) -> None:
        expected, found = self.source.merges, self.target.merges
        if not expected or self.source.model is not TokenizerModel.BPE:
            return  # sentencepiece models merge by score; a list of merges beside it is only a copy.
        if not found:
            self._lacks("merges", f"{len(expected)} merges")
            return
        first, count = _first_difference(expected, found, max(len(expected), len(found)))
        if first is not None:
            self._fail(
                "merges",
                f"{count} of {max(len(expected), len(found))} merges differ, the first at rank {first}",
                _at(expected, first, len(expected)),
                _at(found, first, len(found)),
            )

    def _token_types(self) -> None:
        expected, found = self.source.token_types, self.target.token_types
        if expected is None:
            self.not_checked.append("token_types: the source states none")
            return
        if found is None:
            kinds = Counter(_type_name(kind) for kind in expected[: self.tokens])
            self._lacks("token_types", ", ".join(f"{count} {kind}" for kind, count in kinds.most_common()))
            return
        size = self.tokens if self.source.vocabulary is not None else len(expected)
        differing = [
            number for number, (a, b) in enumerate(zip_longest(expected[:size], found[:size], fillvalue=None)) if a != b
        ]
        if differing:
            first = differing[0]
            self._fail(
                "token_types",
                f"types of {len(differing)} tokens differ, the first at id {first}",
                _type_name(expected[first]) if first < len(expected) else "none",
                _type_name(found[first]) if first < len(found) else "none",
            )

    def _scores(self) -> None:
        expected, found = self.source.scores, self.target.scores
        if self.source.model not in (TokenizerModel.SENTENCEPIECE, TokenizerModel.UNIGRAM):
            return
        if not expected:
            self.not_checked.append("scores: the source states none")
            return
        if not found:
            self._lacks("scores", f"{len(expected)} scores")
            return
        size = min(self.tokens, len(expected))
        wanted = np.asarray(expected[:size], np.float32)
        stored = np.asarray(found[:size], np.float32)
        if stored.size != wanted.size:
            self._fail("scores", "there are not as many scores as tokens", str(wanted.size), str(stored.size))
            return
        counts = np.ones(size, bool)
        if self.source.model is TokenizerModel.UNIGRAM and self.source.token_types is not None:
            # Only the scores of plain text decide how it is split; writers give the other tokens what they like.
            types = np.asarray(self.source.token_types[:size])
            counts[: types.size] = types == TokenType.NORMAL
        differing = np.flatnonzero(counts & (wanted != stored))
        if differing.size:
            first = int(differing[0])
            message = f"scores of {differing.size} tokens differ, the first at id {first}"
            self._fail("scores", message, str(wanted[first]), str(stored[first]))

    def _special_tokens(self) -> None:
        kinds = _SPECIAL_KINDS.get(self.target.format)
        lost = sorted(kind for kind in self.source.special_ids if kinds is not None and kind not in kinds)
        if lost:
            self.not_checked.append(f"special_tokens: {self.target.format} has no key for {', '.join(lost)}")
        differing = {
            kind: (number, self.target.special_ids.get(kind))
            for kind, number in self.source.special_ids.items()
            if kind not in lost and number != self.target.special_ids.get(kind)
        }
        added = sorted(self.target.special_ids.keys() - self.source.special_ids.keys())
        if added:
            message = f"the target has ids that the source does not state: {', '.join(added)}"
            self.findings.append(Finding(Level.TOKENIZER, "special_tokens", message, Severity.NOTE))
        if differing:
            self._fail(
                "special_tokens",
                f"ids of {', '.join(differing)} differ",
                ", ".join(f"{kind} {number}" for kind, (number, _) in differing.items()),
                ", ".join(
                    f"{kind} {'missing' if number is None else number}" for kind, (_, number) in differing.items()
                ),
            )

    def _pre_tokenizer(self) -> None:
        if self.source.model is not TokenizerModel.BPE:
            return
        expected, found = self.source.pre_tokenizer, self.target.pre_tokenizer
        if expected is None:
            self.not_checked.append("pre_tokenizer: the source states none")
        elif found is None:
            self._lacks("pre_tokenizer", _pre_name(expected))
        elif expected.fingerprint is not None and expected.fingerprint == found.fingerprint:
            return
        elif expected.name is not None and found.name is not None:
            if split_class(expected.name) != split_class(found.name):
                self._fail("pre_tokenizer", "text is split by different rules", expected.name, found.name)
        elif expected.fingerprint and found.fingerprint:
            self._fail("pre_tokenizer", "pre-tokenizers differ", _pre_name(expected), _pre_name(found))
        else:
            self.not_checked.append(
                f"pre_tokenizer: {_pre_name(expected)} against {_pre_name(found)} (a structure without a known name)"
            )

    def _flag(self, part: str, expected: bool | None, found: bool | None) -> None:
        if expected is None or found is None:
            side = "source" if expected is None else "target"
            self.not_checked.append(f"{part}: the {side} does not say")
        elif expected is not found:
            self._fail(part, f"{part} differs", str(expected).lower(), str(found).lower())

    def _chat_template(self) -> None:
        expected, found = self.source.chat_template, self.target.chat_template
        if expected is not None:
            self._template(TEMPLATE, expected, found)
        elif found is not None:
            message = "the target has a chat template, the source has none"
            self.findings.append(Finding(Level.TOKENIZER, TEMPLATE, message, Severity.NOTE))

    def _named_templates(self) -> None:
        for name, expected in self.source.named_templates.items():
            if self.target.format in _WITHOUT_NAMED_TEMPLATES:
                self.not_checked.append(f"{TEMPLATE}.{name}: {self.target.format} has no key for it")
            else:
                self._template(f"{TEMPLATE}.{name}", expected, self.target.named_templates.get(name))

    def _template(self, part: str, expected: str, found: str | None) -> None:
        if found is None:
            self._lacks(part, f"{len(expected)} characters")
        elif expected != found:
            at = next((i for i, (a, b) in enumerate(zip(expected, found, strict=False)) if a != b), None)
            at = min(len(expected), len(found)) if at is None else at
            message = f"chat templates differ from character {at} on"
            self._fail(part, message, repr(expected[at : at + _SHOWN]), repr(found[at : at + _SHOWN]))


def _plain_brackets(text: str) -> str:
    """A WordPiece token in brackets; older converters put no mark in front of "[unused0]"."""
    return text.removeprefix("▁") if text.startswith("▁[") and text.endswith("]") else text


def _used(vocabulary: Sequence[str] | None) -> int:
    """Tokens without the unused ones at the end, with which converters fill up the embedding's rows."""
    size = 0 if vocabulary is None else len(vocabulary)
    while size and vocabulary is not None and vocabulary[size - 1] == unused_name(size - 1):
        size -= 1
    return size


def _first_difference(expected: Sequence[str], found: Sequence[str], size: int) -> tuple[int | None, int]:
    """The first index below a size at which two sequences differ, and at how many they do."""
    first, count = None, 0
    for index, (a, b) in enumerate(zip_longest(expected, found, fillvalue=None)):
        if index >= size:
            break
        if a != b:
            first = index if first is None else first
            count += 1
    return first, count


def _at(texts: Sequence[str], index: int, size: int) -> str:
    return repr(texts[index])[:_SHOWN] if index < size else f"none (it has {size})"


def _type_name(kind: int) -> str:
    return TokenType(kind).name.lower() if kind in TokenType.__members__.values() else f"type {kind}"


def _pre_name(pre: PreTokenizer) -> str:
    return pre.name or f"structure {pre.fingerprint}"


def _summary(facts: TokenizerFacts) -> str:
    return f"{facts.model or 'tokenizer'} with {len(facts.vocabulary or ())} tokens"
