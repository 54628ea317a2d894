"""Logits of several models on hidden states that are known, some positions at a time: at most three heads in memory."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field

import torch

from aprtui.inference.logits import LogitRecord
from aprtui.inference.reference.lockstep import ErrorSum
from aprtui.inference.reference.model import ReferenceModel
from aprtui.inference.text import Answers

ELEMENTS = 1 << 22
"""Logits of one model that are in memory at a time."""

FIRST = 64
"""Positions whose logits of the product are kept, for llama.cpp to be held to."""


@dataclass(frozen=True, slots=True)
class Runs:
    """Models and the last hidden states that each gave, float32 [positions, hidden].

    Attributes:
        source: The source and its states.
        target: The product.
        twin: The expected-loss twin, where it is not the source.
        floor: States of the source on other attention code; the source's own head reads them.
    """

    source: tuple[ReferenceModel, torch.Tensor]
    target: tuple[ReferenceModel, torch.Tensor]
    twin: tuple[ReferenceModel, torch.Tensor] | None
    floor: torch.Tensor | None


@dataclass(slots=True)
class HeadPass:
    """What the logits showed.

    Attributes:
        target: The product against the source.
        twin: The twin against the source.
        floor: The source on other code against itself.
        own: The error of the product's head, fed what the source's is fed.
        chain: Its error in the product's own chain.
        twin_own: The own error of the twin's head.
        equals_twin: The product's logits equal the twin's (the source's, without a twin) bit for bit.
        answers: What source and product would say behind every token.
        first: The product's logits at the first positions, on the CPU.
    """

    target: LogitRecord = field(default_factory=LogitRecord)
    twin: LogitRecord | None = None
    floor: LogitRecord | None = None
    own: ErrorSum = field(default_factory=ErrorSum)
    chain: ErrorSum = field(default_factory=ErrorSum)
    twin_own: ErrorSum = field(default_factory=ErrorSum)
    equals_twin: bool = True
    answers: Answers = field(default_factory=Answers)
    first: list[torch.Tensor] = field(default_factory=list)


def run_heads(runs: Runs, following: torch.Tensor) -> HeadPass:
    """Logits of all models and what they show.

    Args:
        runs: Models with their hidden states.
        following: int64 [positions]: the token that follows each; -1 behind the last of a text.
    """
    twin = LogitRecord() if runs.twin is not None else None
    result = HeadPass(twin=twin, floor=LogitRecord() if runs.floor is not None else None)
    states = runs.source[1]
    step = max(1, ELEMENTS // max(1, int(runs.source[0].checkpoint.config.get("vocab_size") or 1)))
    with ExitStack() as stack:
        for each in (runs.source, runs.target, runs.twin):
            if each is not None:
                stack.enter_context(each[0].kept())
        for at in range(0, len(states), step):
            _add_span(result, runs, slice(at, at + step), following[at : at + step])
    return result


def _add_span(result: HeadPass, runs: Runs, span: slice, following: torch.Tensor) -> None:
    (source, states), (target, target_states) = runs.source, runs.target
    expected, found = source.logits(states[span]), target.logits(target_states[span])
    result.target.add(expected, found, following)
    result.answers.add(expected, found)
    room = FIRST - sum(map(len, result.first))
    if room > 0:
        result.first.append(found[:room].cpu())
    same = expected
    if runs.twin is not None and result.twin is not None:
        twin, twin_states = runs.twin
        same = twin.logits(twin_states[span])
        result.twin.add(expected, same, following)
        result.twin_own.add(*_common(expected, twin.logits(states[span])))
    if runs.floor is not None and result.floor is not None:
        result.floor.add(expected, source.logits(runs.floor[span]), following)
    result.equals_twin = result.equals_twin and torch.equal(*_common(found, same))
    result.chain.add(*_common(expected, found))
    alike = states.shape == target_states.shape and not torch.equal(states, target_states)
    fed = target.logits(states[span]) if alike else found
    result.own.add(*_common(expected, fed))


def _common(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The logits of tokens that both have: where one has more, that is a finding of its own."""
    width = min(a.shape[1], b.shape[1])
    return a[:, :width], b[:, :width]
