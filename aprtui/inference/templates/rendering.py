"""Renders chat templates in a process of its own: a template is a program that a stranger wrote."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from aprtui.inference.child import run_module
from aprtui.inference.templates.conversations import Conversation

SECONDS = 20.0
"""Time limit for all conversations of one template."""

_MODULE = "aprtui.inference.templates.child"


@dataclass(frozen=True, slots=True)
class Rendering:
    """What one conversation became.

    Attributes:
        text: The text; None where the template gives none.
        error: Why, in the template's own words.
    """

    text: str | None
    error: str = ""


def render(
    template: str, conversations: Sequence[Conversation], special_texts: Mapping[str, str]
) -> tuple[Rendering, ...]:
    """Render conversations as transformers does: sandboxed Jinja, trimmed blocks, a fixed date.

    Args:
        template: The template.
        conversations: What to render.
        special_texts: `bos_token`, `eos_token` … by name.

    Returns:
        One rendering for each conversation. A template that runs out of time or memory gives the same error for all.
    """
    request = {
        "template": template,
        "conversations": [asdict(conversation) for conversation in conversations],
        "special": dict(special_texts),
    }
    with tempfile.TemporaryDirectory(prefix="aprtui-template-") as name:
        folder = Path(name)
        result = run_module(_MODULE, folder, request, time_limit=SECONDS)
        if result.timed_out:
            return (Rendering(None, f"it did not end in {SECONDS:.0f} s"),) * len(conversations)
        path = folder / "answer.json"
        if not path.is_file():
            return (Rendering(None, f"the process that renders it {result.ending}"),) * len(conversations)
        return tuple(Rendering(**entry) for entry in json.loads(path.read_bytes()))
