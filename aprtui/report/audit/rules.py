"""Rules for apr-qa's entries, by gate: what its own numbers and texts show (apr-qa's conversion.rs and executor.rs)."""

from __future__ import annotations

import re
from collections.abc import Callable

from aprtui.report.audit.facts import EntryAudit, Standing
from aprtui.report.audit.reading import StoredEntry
from aprtui.report.audit.transcripts import explained_by_paths, generated_text, is_noise

Rule = Callable[[StoredEntry, str], EntryAudit]
"""An entry, and the model that its file is about."""

FORMATS = {"S": "safetensors", "G": "gguf", "A": "apr", "SafeTensors": "safetensors", "Gguf": "gguf", "Apr": "apr"}

_EPSILON = 1e-6
_PAIR = re.compile(r"F-CONV-(S|G|A)-(S|G|A)$")
PASSING_PAIR = re.compile(r"F-CONV-(SafeTensors|Gguf|Apr)-(SafeTensors|Gguf|Apr)$")
_MEASURED = re.compile(r"max_diff: ([0-9.]+(?:e[-+]?\d+)?)")
_DIFFERENCE = re.compile(r"diff: ([0-9.]+(?:e[-+]?\d+)?), ε: ([0-9.]+(?:e[-+]?\d+)?)")
_ZERO_NAMES = re.compile(r"\ball 0 source tensors\b|\bsource=0\b")
_ZERO_RULES = re.compile(r"Rules checked: 0\b")
_TEXTS = "the generated text of both sides, and their token ids"
_ARITHMETIC = {"What is 2+2?": "4", "Given x=5 and y=3, what is x*y? Then what is the result plus 10?": "25"}
_TOY = "Chat Demo (Tiny Model)"
_BANNER = "Architecture: "


def _audit(entry: StoredEntry, standing: Standing, why: str, *, ask: str = "", cause: str = "") -> EntryAudit:
    return EntryAudit(entry.number, entry.gate_id, entry.outcome, standing, why, ask, cause)


def judge(entry: StoredEntry, model: str) -> EntryAudit:
    """What an entry of apr-qa is worth."""
    if entry.outcome in ("Skipped", "Crashed", "Timeout"):
        return _audit(entry, Standing.HOLDS, "it claims no result")
    for matches, rule in _RULES:
        if matches(entry.gate_id):
            return rule(entry, model)
    if entry.outcome == "Corroborated" and "SKIP" in entry.output[:80]:
        return _skip_as_pass(entry)
    return _audit(entry, Standing.CANNOT_BE_KNOWN, "aprtui knows no rule for this gate", ask="how it is judged")


def epsilon_of(entry: StoredEntry) -> tuple[float, str] | None:
    """The epsilon that a failing conversion was held against, and the format it ends in; None where none is stored."""
    pair, found = _PAIR.match(entry.gate_id), _DIFFERENCE.search(entry.reason)
    return None if pair is None or found is None else (float(found.group(2)), FORMATS[pair.group(2)])


def _skip_as_pass(entry: StoredEntry) -> EntryAudit:
    why = "a pass, though its own output says that the check was skipped"
    return _audit(entry, Standing.WITHOUT_SUBSTANCE, why, cause="measurement.failure_as_pass")


def _conversion(entry: StoredEntry, model: str) -> EntryAudit:
    """The six pairs under the ids of their failures."""
    if entry.outcome == "Corroborated":
        return _passed_conversion(entry, model)
    found = _DIFFERENCE.search(entry.reason)
    pair = _PAIR.match(entry.gate_id)
    if found is None or pair is None:
        if "infrastructure error" in entry.reason or "failed" in entry.reason:
            return _audit(entry, Standing.HOLDS, "the conversion itself failed, and the reason says how")
        return _audit(entry, Standing.CANNOT_BE_KNOWN, "neither a number nor a text is stored", ask=_TEXTS)
    value, epsilon = float(found.group(1)), float(found.group(2))
    if value <= epsilon:
        why = f"a failure, though its difference {value:g} is within {epsilon:g}"
        return _audit(entry, Standing.CONTRADICTS, why)
    low, high = explained_by_paths(model, FORMATS[pair.group(1)], FORMATS[pair.group(2)])
    if low <= value <= high:
        alone = f"{low:.2f} to {high:.2f}"
        why = f"path and seconds alone make outputs with the same answer differ by {alone}: {value:g} is one of these"
    else:
        why = f"whole outputs were compared: {value:g} counts paths and seconds, and says nothing of weights"
    return _audit(entry, Standing.CANNOT_BE_KNOWN, why, ask=_TEXTS, cause="measurement.whole_output")


def _passed_conversion(entry: StoredEntry, _: str) -> EntryAudit:
    found = _MEASURED.search(entry.output)
    if found is None:
        return _audit(entry, Standing.WITHOUT_SUBSTANCE, "a pass without any number", ask=_TEXTS)
    value = float(found.group(1))
    if value > _EPSILON:
        why = f"a pass with a difference of {value:g}, where {_EPSILON:g} was allowed: the rule was loosened"
        return _audit(entry, Standing.CONTRADICTS, why, ask=_TEXTS, cause="measurement.whole_output")
    why = "a constant 0, which outputs with two paths in them cannot have: nothing was compared"
    return _audit(entry, Standing.WITHOUT_SUBSTANCE, why, ask=_TEXTS, cause="measurement.nothing_compared")


def _round_trip(entry: StoredEntry, _: str) -> EntryAudit:
    if entry.outcome == "Corroborated":
        return _passed_conversion(entry, _)
    if "failed:" in entry.reason:
        return _audit(entry, Standing.HOLDS, "a conversion of the chain failed, and the reason says how")
    why = "whole outputs with other paths and seconds were compared; no number and no text is stored"
    return _audit(entry, Standing.CANNOT_BE_KNOWN, why, ask=_TEXTS, cause="measurement.whole_output")


def _golden(entry: StoredEntry, _: str) -> EntryAudit:
    if entry.outcome != "Corroborated":
        return _audit(entry, Standing.HOLDS, "a run failed, and the reason says how")
    text = entry.output.partition("identical output:")[2].strip()
    if not text:
        why = "two empty texts were compared"
        return _audit(entry, Standing.WITHOUT_SUBSTANCE, why, cause="measurement.nothing_compared")
    noise = is_noise(text)
    if noise:
        return _audit(entry, Standing.WITHOUT_SUBSTANCE, noise, cause="measurement.nothing_compared")
    return _audit(entry, Standing.HOLDS, f"both sides say {text[:60]!r}")


def _names(entry: StoredEntry, _: str) -> EntryAudit:
    if entry.outcome == "Corroborated" and _ZERO_NAMES.search(f"{entry.reason} {entry.output}"):
        why = "zero names were compared with zero names"
        return _audit(entry, Standing.WITHOUT_SUBSTANCE, why, cause="measurement.nothing_compared")
    return _audit(entry, Standing.HOLDS, "names were counted, or the inspection failed and says how")


def _fallbacks(entry: StoredEntry, _: str) -> EntryAudit:
    if entry.outcome != "Corroborated":
        return _audit(entry, Standing.HOLDS, "the check failed to run, and the reason says how")
    why = "judged by words in the output of a self-test that finds tensors by parts of their names"
    return _audit(entry, Standing.CANNOT_BE_KNOWN, why, ask="the type of every tensor of the product")


def _statistics(entry: StoredEntry, _: str) -> EntryAudit:
    if entry.outcome == "Falsified" and "within expected statistical bounds" in entry.output:
        why = "a failure, though its own table says that all tensors are within their bounds"
        return _audit(entry, Standing.CONTRADICTS, why)
    return _audit(entry, Standing.CANNOT_BE_KNOWN, "means alone were compared", ask="the weights of both sides")


def _round_trip_of_text(entry: StoredEntry, _: str) -> EntryAudit:
    if '"total_tokens": 0' in entry.output and '"passed": true' in entry.output:
        why = "a failure, though its own report says passed with zero tokens"
        if _BANNER in entry.output:
            why += "; the text compared is a line of the loader"
        return _audit(entry, Standing.CONTRADICTS, why, ask=_TEXTS, cause="measurement.log_line")
    if _BANNER in entry.reason:
        why = "the text compared is a line of the loader"
        return _audit(entry, Standing.CANNOT_BE_KNOWN, why, ask=_TEXTS, cause="measurement.log_line")
    return _audit(entry, Standing.CANNOT_BE_KNOWN, "no token was compared", ask=_TEXTS)


def _layout(entry: StoredEntry, _: str) -> EntryAudit:
    if entry.outcome == "Corroborated":
        if _ZERO_RULES.search(entry.output):
            why = "zero rules were checked"
            return _audit(entry, Standing.WITHOUT_SUBSTANCE, why, cause="measurement.nothing_compared")
        return _audit(entry, Standing.HOLDS, "rules were checked, and counted")
    why = "a shape is held against names of dimensions whose values are not stored"
    return _audit(entry, Standing.CANNOT_BE_KNOWN, why, ask="heads, head_dim and hidden size of the model")


def _scenario(entry: StoredEntry, _: str) -> EntryAudit:
    """A prompt and what a model made of it."""
    if entry.outcome != "Corroborated":
        return _audit(entry, Standing.HOLDS, "the command failed, and its exit code says so")
    if _TOY in entry.output:
        why = "the answer is that of a model built into the tool"
        return _audit(entry, Standing.WITHOUT_SUBSTANCE, why, cause="measurement.nothing_compared")
    text = generated_text(entry.output, entry.modality)
    if text is None:
        why = "figures of a benchmark, and no generated text" if entry.output else "no output is stored"
        return _audit(entry, Standing.WITHOUT_SUBSTANCE, why, ask=_TEXTS, cause="measurement.nothing_compared")
    noise = is_noise(text)
    if noise:
        return _audit(entry, Standing.WITHOUT_SUBSTANCE, noise, cause="measurement.nothing_compared")
    wanted = _ARITHMETIC.get(entry.prompt)
    if wanted is None:
        return _audit(
            entry, Standing.CANNOT_BE_KNOWN, "what a right answer is, is not stored", ask="the expected answer"
        )
    if re.search(rf"(?<!\d){wanted}(?!\d)", text):
        return _audit(entry, Standing.HOLDS, f"the generated text holds {wanted}")
    why = f"a pass, though the generated text does not hold {wanted}: {text[:60]!r}"
    return _audit(entry, Standing.CONTRADICTS, why)


def _command(entry: StoredEntry, _: str) -> EntryAudit:
    if entry.outcome == "Corroborated" and "SKIP" in entry.output[:80]:
        return _skip_as_pass(entry)
    return _audit(entry, Standing.HOLDS, "a command ended as the entry says, which is all that it claims")


def _starts(*prefixes: str) -> Callable[[str], bool]:
    return lambda gate_id: gate_id.startswith(prefixes)


_RULES: tuple[tuple[Callable[[str], bool], Rule], ...] = (
    (lambda gate_id: _PAIR.match(gate_id) is not None, _conversion),
    (lambda gate_id: PASSING_PAIR.match(gate_id) is not None, _passed_conversion),
    (_starts("F-CONV-RT-", "F-CONV-IDEM-", "F-CONV-COM-"), _round_trip),
    (_starts("F-GOLDEN-RULE-"), _golden),
    (_starts("F-CONTRACT-I2-"), _names),
    (_starts("F-CONTRACT-I3-"), _fallbacks),
    (_starts("F-CONTRACT-I4-"), _statistics),
    (_starts("F-CONTRACT-I5-"), _round_trip_of_text),
    (_starts("F-LAYOUT-CONTRACT-", "G0-LAYOUT-"), _layout),
    (_starts("F-A"), _scenario),
    (_starts("G0-", "G1-", "G2-", "G3-", "G4-"), _command),
)
