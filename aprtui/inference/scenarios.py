"""Runs scenarios: a file in an engine over all prompts, the oracles on what it says, and how fast it says it."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from aprtui.core.errors import AprtuiError
from aprtui.core.outcomes import Outcome
from aprtui.core.scenarios import (
    MOST_TOKENS,
    Answer,
    Backend,
    Ending,
    EngineFacts,
    EngineName,
    Modality,
    OracleKind,
    Oracles,
    OracleVerdict,
    Speed,
)
from aprtui.formats.model import open_model
from aprtui.inference.code_syntax import holds_code
from aprtui.inference.engines import AprEngine, Engine, LlamaCppEngine, ReferenceEngine
from aprtui.inference.engines.engine import EngineAnswer, explain_prompt_tokens
from aprtui.inference.errors import missing_runtime
from aprtui.inference.llama import installed_version
from aprtui.inference.oracles import ask, composed, oracles_for
from aprtui.inference.templates import Conversation, render, special_texts
from aprtui.inference.tokenizers import encode_texts

_LONGEST_TEXT = 1 << 14
_NO_GPU_CODE = "the xllamacpp wheel runs on the CPU alone"


@dataclass(frozen=True, slots=True)
class EngineWanted:
    """Which engine is to run.

    Attributes:
        name: Its name.
        backend: What it is to run on.
        device: torch's name of the device, for the reference.
        program: The `apr` command.
        seconds: Time limit of one prompt.
    """

    name: EngineName
    backend: Backend
    device: str
    program: str
    seconds: float

    def make(self) -> Engine:
        """The engine."""
        if self.name is EngineName.REFERENCE:
            return ReferenceEngine(self.device, self.seconds)
        if self.name is EngineName.LLAMA_CPP:
            return LlamaCppEngine(seconds=self.seconds)
        return AprEngine(self.program, self.backend is Backend.GPU, self.seconds)


def why_absent(name: EngineName, backend: Backend, program: str) -> str:
    """Why an engine cannot run here; empty where it can, as far as that shows without starting it."""
    if name is EngineName.REFERENCE:
        return missing_runtime() or ""
    if name is EngineName.LLAMA_CPP:
        if backend is Backend.GPU:
            return _NO_GPU_CODE
        return "" if installed_version() else "xllamacpp not installed (pip install 'aprtui[llama]')"
    return "" if shutil.which(program) else f"the command {program!r} is not installed"


def facts_of(engine: Engine) -> EngineFacts:
    """Who an engine is, for evidence.

    Raises:
        AprtuiError: It is not installed, or does not say.
    """
    identity = engine.identity
    return EngineFacts(identity.name, identity.version, str(identity.path), identity.digest)


def answers_of(
    engine: Engine, model: Path, prompts: Sequence[str], oracles: Oracles, modality: Modality = Modality.RUN
) -> tuple[list[Answer], bool | None]:
    """What an engine answers to each prompt, judged; and whether it loaded the file, None where it does not tell.

    Args:
        engine: The engine.
        model: A model file or directory.
        prompts: Texts.
        oracles: What the playbook asks of the answers.
        modality: Whether the prompts are put into the file's chat template.
    """
    asked, reason = (prompts, "") if modality is not Modality.CHAT else chat_texts(model, prompts)
    if reason:
        return [Answer(prompt, Ending.NOT_PROMPTED, reason=reason) for prompt in prompts], None
    found = engine.generate(model, asked, MOST_TOKENS)
    told = [one.has_loaded for one in found if one.has_loaded is not None]
    expected, around = _prompt_tokens(model, asked, found)
    answers = [
        _judged(prompt, one, _note(one, count, around), oracles, modality)
        for prompt, one, count in zip(prompts, found, expected, strict=True)
    ]
    return answers, any(told) if told else None


def chat_texts(path: Path, prompts: Sequence[str]) -> tuple[Sequence[str], str]:
    """Prompts in a file's own chat template, as the user's turn before the model's; and why there are none.

    What a template puts in front that the tokenizer puts in front of every text is left out, so that it stands there
    once.
    """
    try:
        model = open_model(path)
    except AprtuiError as error:
        return (), error.problem
    facts = model.tokenizer
    if facts is None or facts.chat_template is None:
        return (), "it has no chat template"
    special = special_texts(model)
    turns = [Conversation(prompt, ({"role": "user", "content": prompt},)) for prompt in prompts]
    rendered = render(facts.chat_template, turns, special)
    failed = next((one for one in rendered if one.text is None), None)
    if failed is not None:
        return (), f"its chat template renders nothing: {failed.error}"
    begin = special.get("bos_token", "") if facts.add_bos else ""
    return [(one.text or "").removeprefix(begin) for one in rendered], ""


def _prompt_tokens(
    model: Path, prompts: Sequence[str], found: Sequence[EngineAnswer]
) -> tuple[Sequence[int | None], int]:
    """Tokens of each prompt as the file's own tokenizer gives them, and of no text at all.

    None where that is not known here.
    """
    if all(one.text is None for one in found):
        return [None] * len(prompts), 0
    try:
        *counts, around = [len(ids) for ids in encode_texts(open_model(model), [*prompts, ""]).ids]
    except AprtuiError:
        return [None] * len(prompts), 0
    return counts, around


def _note(answer: EngineAnswer, expected: int | None, around: int) -> str:
    if answer.text is None:
        return ""
    if expected is None:
        return "the tokens that belong to the prompt are not known here"
    return explain_prompt_tokens(answer.prompt_tokens, expected, around)


def _judged(prompt: str, answer: EngineAnswer, note: str, oracles: Oracles, modality: Modality) -> Answer:
    text = None if answer.text is None else answer.text[:_LONGEST_TEXT]
    verdicts: tuple[OracleVerdict, ...] = ()
    if text is not None:
        called = _called(prompt, text, oracles, modality)
        verdicts = tuple(_verdicts(called, prompt, text, oracles, is_cut_off=answer.is_cut_off))
    return Answer(
        prompt,
        answer.ending,
        text,
        answer.ids,
        answer.prompt_tokens,
        note,
        answer.is_cut_off,
        answer.reason,
        answer.warnings,
        answer.seconds,
        answer.command,
        verdicts,
    )


def _called(prompt: str, text: str, oracles: Oracles, modality: Modality) -> list[OracleKind]:
    """The oracles that the playbook names and the prompt calls for; all of the latter for a composite.

    In a chat, code that begins is a turn like any other: it may be answered in words.
    """
    suited = oracles_for(prompt)
    if modality is Modality.CHAT and OracleKind.CODE_SYNTAX in suited and not holds_code(prompt, text):
        suited = (OracleKind.GARBAGE, OracleKind.RESPONSE)
    if not oracles.kinds or OracleKind.COMPOSITE in oracles.kinds:
        return list(suited)
    return [kind for kind in suited if kind in {OracleKind.GARBAGE, *oracles.kinds}]


def _verdicts(
    called: Sequence[OracleKind], prompt: str, text: str, oracles: Oracles, *, is_cut_off: bool
) -> list[OracleVerdict]:
    """What oracles say of a text; a character that is cut off with it is not held against it."""
    whole = text.removesuffix("\ufffd") if is_cut_off else text
    found = [ask(kind, prompt, whole or text, oracles.of(kind)) for kind in called]
    found = [_not_yet(one) if is_cut_off and one.oracle is OracleKind.ARITHMETIC else one for one in found]
    return [*found, composed(found)] if OracleKind.COMPOSITE in oracles.kinds else found


def _not_yet(verdict: OracleVerdict) -> OracleVerdict:
    """A result that a text does not say before it was cut off may have been about to come."""
    if verdict.outcome is not Outcome.FALSIFIED:
        return verdict
    reason = f"{verdict.reason} before it is cut off after {MOST_TOKENS} tokens"
    return replace(verdict, outcome=Outcome.SKIPPED, reason=reason)


def speed_of(engine: Engine, model: Path, prompt: str, warmup: int, measure: int) -> tuple[Speed | None, str]:
    """How fast an engine generates, and why that is not known.

    Args:
        engine: The engine.
        model: A model file or directory.
        prompt: What is continued in every run.
        warmup: Runs that do not count.
        measure: Runs that count.
    """
    load, _, _ = os.getloadavg()
    found = engine.generate(model, [prompt] * (warmup + measure), MOST_TOKENS)
    failed = next((one for one in found if one.ending is not Ending.ANSWERED), None)
    if failed is not None:
        return None, failed.reason
    counted = found[warmup:]
    seconds = sorted(each for one in counted for each in one.token_seconds)
    processors = os.cpu_count() or 1
    if sum(seconds) > 0:
        tokens, rate = len(seconds), len(seconds) / sum(seconds)
        p50, p99 = (1000 * _percentile(seconds, share) for share in (0.5, 0.99))
        return Speed(len(counted), tokens, rate, p50, p99, load, processors), ""
    stated = [(len(one.ids or ()), one.tokens_per_second) for one in counted]
    if stated and all(count and rate for count, rate in stated):
        tokens = sum(count for count, _ in stated)
        rate = tokens / sum(count / rate for count, rate in stated if rate)
        return Speed(len(counted), tokens, rate, None, None, load, processors), ""
    return None, "it generates no second token, or does not tell their times"


def _percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that this share of the values does not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
