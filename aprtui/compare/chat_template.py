"""Chat templates, compared by what they make of conversations: other words for the same text are no difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aprtui.compare.tokenizer import TEMPLATE
from aprtui.core.findings import Finding
from aprtui.core.outcomes import Level, Severity
from aprtui.formats.model import Model
from aprtui.formats.tokenizer.facts import DEFAULT_TEMPLATE
from aprtui.inference.templates import CONVERSATIONS, Rendering, render, special_texts

_SHOWN = 80


@dataclass(frozen=True, slots=True)
class TemplateVerdict:
    """What rendering showed.

    Attributes:
        findings: A failure where a conversation becomes another text, a note where only the templates differ.
        not_checked: What could not be rendered.
        checked: Conversations that were compared.
        judged: Templates that both sides have, and that were rendered or are equal.
    """

    findings: tuple[Finding, ...] = ()
    not_checked: tuple[str, ...] = ()
    checked: int = 0
    judged: frozenset[str] = frozenset()


def compare_rendered(source: Model, target: Model) -> TemplateVerdict:
    """Render every conversation with both sides' templates, each with its own special tokens.

    Templates that are equal, with equal texts for the tokens that they may name, are not rendered.
    """
    expected, found = (_by_part(model) for model in (source, target))
    special = [special_texts(model) for model in (source, target)]
    verdicts = [_compared(part, (expected[part], found[part]), special) for part in expected if part in found]
    return TemplateVerdict(
        tuple(finding for verdict in verdicts for finding in verdict.findings),
        tuple(reason for verdict in verdicts for reason in verdict.not_checked),
        sum(verdict.checked for verdict in verdicts),
        frozenset(part for verdict in verdicts for part in verdict.judged),
    )


def _by_part(model: Model) -> dict[str, str]:
    """A model's templates by the part that they are."""
    templates = model.tokenizer.templates if model.tokenizer is not None else {}
    return {TEMPLATE if name == DEFAULT_TEMPLATE else f"{TEMPLATE}.{name}": text for name, text in templates.items()}


def _compared(part: str, templates: tuple[str, str], special: Sequence[Mapping[str, str]]) -> TemplateVerdict:
    expected, found = templates
    judged = frozenset({part})
    if expected == found and _named(expected, special[0]) == _named(found, special[1]):
        return TemplateVerdict(checked=len(CONVERSATIONS), judged=judged)
    a, b = (render(template, CONVERSATIONS, texts) for template, texts in zip(templates, special, strict=True))
    if all(rendering.text is None for rendering in a):
        return TemplateVerdict(not_checked=(f"{part}: the source's renders nothing: {a[0].error}",))
    pairs = list(zip(CONVERSATIONS, a, b, strict=True))
    # Two templates that both refuse a conversation agree, whatever their words.
    differing = [(case.name, wanted, got) for case, wanted, got in pairs if wanted.text != got.text]
    if not differing:
        message = f"the templates differ, but render {len(pairs)} conversations alike"
        note = Finding(Level.TOKENIZER, part, message, Severity.NOTE)
        return TemplateVerdict((note,) if expected != found else (), checked=len(pairs), judged=judged)
    name, wanted, got = differing[0]
    failure = Finding(
        Level.TOKENIZER,
        part,
        f"{len(differing)} of {len(pairs)} conversations become another text, the first is: {name}",
        expected=_around(wanted, got),
        found=_around(got, wanted),
        place=_place(wanted, got),
    )
    return TemplateVerdict((failure,), checked=len(pairs), judged=judged)


def _named(template: str, texts: Mapping[str, str]) -> dict[str, str]:
    """The special tokens that a template names."""
    return {name: text for name, text in texts.items() if name in template}


def _first(a: Rendering, b: Rendering) -> int:
    pair = (a.text or "", b.text or "")
    return next((at for at, (x, y) in enumerate(zip(*pair, strict=False)) if x != y), min(map(len, pair)))


def _around(rendering: Rendering, other: Rendering) -> str:
    """The text from a little before the first difference on."""
    if rendering.text is None:
        return f"no text: {rendering.error}"
    at = max(0, _first(rendering, other) - 20)
    return repr(rendering.text[at : at + _SHOWN])


def _place(a: Rendering, b: Rendering) -> str | None:
    return None if a.text is None or b.text is None else f"character {_first(a, b)}"
