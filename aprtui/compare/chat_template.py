"""Chat templates, compared by what they make of conversations: other words for the same text are no difference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aprtui.core.findings import Finding
from aprtui.core.outcomes import Level, Severity
from aprtui.formats.model import Model
from aprtui.inference.templates import CONVERSATIONS, Rendering, render, special_texts

_SHOWN = 80


@dataclass(frozen=True, slots=True)
class TemplateVerdict:
    """What rendering showed.

    Attributes:
        findings: A failure where a conversation becomes another text, a note where only the templates differ.
        not_checked: What could not be rendered.
        checked: Conversations that were compared.
    """

    findings: tuple[Finding, ...] = ()
    not_checked: tuple[str, ...] = ()
    checked: int = 0


def compare_rendered(source: Model, target: Model) -> TemplateVerdict:
    """Render every conversation with both templates, each with its own special tokens.

    Templates that are equal, with equal texts for the tokens that they may name, are not rendered.
    """
    templates = [model.tokenizer.chat_template if model.tokenizer else None for model in (source, target)]
    expected, found = templates
    if expected is None or found is None:
        return TemplateVerdict()
    special = [special_texts(model) for model in (source, target)]
    if expected == found and _named(expected, special[0]) == _named(found, special[1]):
        return TemplateVerdict(checked=len(CONVERSATIONS))
    a, b = (render(template, CONVERSATIONS, texts) for template, texts in ((expected, special[0]), (found, special[1])))
    if all(rendering.text is None for rendering in a):
        reason = f"chat_template: the source's renders nothing: {a[0].error}"
        return TemplateVerdict(not_checked=(reason,))
    pairs = list(zip(CONVERSATIONS, a, b, strict=True))
    # Two templates that both refuse a conversation agree, whatever their words.
    differing = [(case.name, wanted, got) for case, wanted, got in pairs if wanted.text != got.text]
    if not differing:
        message = f"the templates differ, but render {len(pairs)} conversations alike"
        note = Finding(Level.TOKENIZER, "chat_template", message, Severity.NOTE)
        return TemplateVerdict((note,) if expected != found else (), checked=len(pairs))
    name, wanted, got = differing[0]
    message = f"{len(differing)} of {len(pairs)} conversations become another text, the first is: {name}"
    failure = Finding(
        Level.TOKENIZER,
        "chat_template",
        message,
        expected=_around(wanted, got),
        found=_around(got, wanted),
        place=_place(wanted, got),
    )
    return TemplateVerdict((failure,), checked=len(pairs))


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
