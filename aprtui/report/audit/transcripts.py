"""Output of `apr`: what of it is generated text, and how much paths and timings alone make two outputs differ."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import product

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_ASSISTANT = re.compile(r"Assistant:\s*(.*?)(?:You:|Goodbye|$)", re.DOTALL)
_ANSWER = re.compile(r"Output:\n(.*?)\n\s*Completed in", re.DOTALL)
_MOST_OF_ONE = 0.7
_FEWEST_KINDS = 3


def generated_text(output: str, modality: str) -> str | None:
    """The text that a model generated, out of the output of `apr run`, `chat` or `serve`; None where none is told."""
    plain = _ANSI.sub("", output)
    if modality == "serve":
        try:
            reply = json.loads(plain)
        except (ValueError, RecursionError):
            return None
        text = reply.get("text") if isinstance(reply, dict) else None
        return text if isinstance(text, str) else None
    found = (_ASSISTANT if modality == "chat" else _ANSWER).search(plain)
    return found.group(1).strip() if found else None


def is_noise(text: str) -> str | None:
    """Why a text is no answer; None where it may be one. Judged on the text alone, not on the banner around it."""
    visible = text.strip()
    if not visible:
        return "the generated text is empty"
    if any((ord(mark) < 32 and mark not in "\n\t\r") or mark in "\x7f\ufffd" for mark in visible):
        return "the generated text holds control or replacement characters"
    counts = Counter(visible)
    if len(visible) > 8 and (len(counts) < _FEWEST_KINDS or counts.most_common(1)[0][1] > _MOST_OF_ONE * len(visible)):
        return "the generated text repeats one character"
    return None


def upstream_difference(one: str, other: str) -> float:
    """apr-qa's `compute_diff`: 1 - equal characters at the same place over the byte length of the longer text."""
    longest = max(len(one.encode()), len(other.encode()))
    return 1 - sum(a == b for a, b in zip(one, other, strict=False)) / longest if longest else 0.0


@cache
def explained_by_paths(model: str, source: str, target: str) -> tuple[float, float]:
    """Smallest and largest difference of two transcripts with the same answer, for plausible answers and timings.

    Args:
        model: "org/name".
        source: safetensors, gguf or apr.
        target: Likewise.
    """
    found = [upstream_difference(*pair) for pair in _same_answers(model, source, target)]
    return min(found), max(found)


_ANSWERS = ("4", "2+2 equals 4.", "2 + 2 equals 4.", "2+2 = 4. Is there anything else that I can help you with today?")
_SECONDS = ("0.98", "1.27", "9.81", "12.40")


def _same_answers(model: str, source: str, target: str) -> Iterator[tuple[str, str]]:
    name = f"model.{source}"
    places = (f"output/workspace/{model}/{source}/{name}", f"../.cache/apr-models/{model}/{source}/{name}")
    targets = (
        f"output/conversions/{model}/basic/model.converted.{target}",
        f"output/workspace/{model}/{source}/model.converted.{target}",
        f"output/conversions/{model}/basic/{model.partition('/')[2]}.converted.{target}",
    )
    for place, result, answer, one, other in product(places, targets, _ANSWERS, _SECONDS, _SECONDS):
        yield _transcript(place, answer, one), _transcript(result, answer, other)


def _transcript(path: str, answer: str, seconds: str) -> str:
    return f"=== APR Run ===\n\nSource: {path}\n\nOutput:\n{answer}\n\nCompleted in {seconds}s (cached)\n"
