"""From a playbook to a plan: which gates, which conversions they need, and what may be taken over from before."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import aprtui
from aprtui.convert import Converter
from aprtui.core.errors import FormatError, UsageError
from aprtui.core.events import ConverterFacts, GateFinished
from aprtui.core.gates import CONVERSION_PAIRS, FormatLetter, Gate
from aprtui.core.outcomes import Outcome
from aprtui.engine.jobs import FORMATS
from aprtui.formats.huggingface import find_model_files
from aprtui.formats.output_types import OutputTypes, parse_output_type
from aprtui.models import ResolvedModel
from aprtui.playbook import Playbook
from aprtui.playbook.keys import DEFAULT
from aprtui.playbook.playbook import LOSSLESS
from aprtui.store.plan import Limits, ModelFacts, PlannedConversion, PlannedGate, PlaybookFacts, RunPlan
from aprtui.store.summary import RunRecord

RULES_VERSION = "1"
"""Version of the tolerances and layout rules; evidence names it."""

_LETTERS = {format_: letter for letter, format_ in FORMATS.items()}


@dataclass(frozen=True, slots=True)
class Places:
    """Where a run puts things.

    Attributes:
        folder: The run folder, new or, to go on with a run, that of the run.
        evidence: Where evidence.json goes, beside the one in the run folder.
        scratch: Where products go; None for the run folder.
    """

    folder: Path
    evidence: Path
    scratch: Path | None = None


def new_run_id() -> str:
    """Local time and random digits: sorts by age, and names no run twice."""
    return f"{datetime.now():%Y%m%d-%H%M%S}-{os.urandom(2).hex()}"


def gates_of(playbook: Playbook) -> tuple[Gate, ...]:
    """The pairs between the formats that a playbook names."""
    formats = set(playbook.model.formats)
    return tuple(gate for gate in CONVERSION_PAIRS if {gate.source, gate.target} <= formats)


def make_plan(
    playbook: Playbook, model: ResolvedModel, converter: Converter | None, places: Places, limits: Limits
) -> RunPlan:
    """The plan of a run.

    Args:
        playbook: What to run.
        model: The model that its conversions start from, as it was found.
        converter: The converter under test, if there is one.
        places: Where things go.
        limits: What the run may use.

    Raises:
        UsageError: The playbook asks for an output type that does not exist.
    """
    asked_for = {gate.gate_id: outtype(playbook, gate).text for gate in CONVERSION_PAIRS}
    root = _root_letter(model.path)
    conversions: dict[str, PlannedConversion] = {}
    gates = tuple(_planned(gate, root, asked_for, playbook, conversions) for gate in gates_of(playbook))
    run_id = places.folder.name
    scratch = places.folder / "products" if places.scratch is None else places.scratch / f"aprtui-{run_id}"
    return RunPlan(
        run_id=run_id,
        playbook=PlaybookFacts(
            path=str(playbook.path.absolute()),
            name=playbook.name,
            version=playbook.version,
            repo=playbook.model.hf_repo,
            seed=playbook.seed,
            allow_skip=tuple(playbook.settings.allow_skip),
        ),
        model=ModelFacts(str(model.path.absolute()), model.how, model.commit),
        converter=None if converter is None else converter_facts(converter),
        gates=gates,
        conversions=tuple(conversions.values()),
        limits=limits,
        evidence=str(places.evidence.absolute()),
        scratch=str(scratch.absolute()),
        aprtui_version=aprtui.__version__,
        rules_version=RULES_VERSION,
    )


def _planned(
    gate: Gate,
    root: FormatLetter,
    asked_for: dict[str, str],
    playbook: Playbook,
    conversions: dict[str, PlannedConversion],
) -> PlannedGate:
    """A gate, with the conversions that it needs entered."""
    source = None
    if gate.source is not root:
        source = f"{root}>{gate.source}"
        first_hop = asked_for[f"F-CONV-{root}-{gate.source}"]
        conversions.setdefault(source, PlannedConversion(source, None, gate.source, first_hop))
    target = f"{source or root}>{gate.target}"
    conversions.setdefault(target, PlannedConversion(target, source, gate.target, asked_for[gate.gate_id]))
    return PlannedGate(
        gate_id=gate.gate_id,
        levels=tuple(playbook.settings.levels or gate.levels),
        tensors=tuple(playbook.settings.tensors),
        asked_for=asked_for[gate.gate_id],
        source=source,
        target=target,
    )


def _root_letter(model: Path) -> FormatLetter:
    """The format that conversions start from; of what is no model the run itself will say so."""
    try:
        return _LETTERS[find_model_files(model).format]
    except (FormatError, UsageError):
        return FormatLetter.SAFETENSORS


def outtype(playbook: Playbook, gate: Gate) -> OutputTypes:
    """The output type that a playbook asks of a pair's conversion.

    A type for all pairs that SafeTensors cannot hold leaves pairs to SafeTensors lossless.

    Raises:
        UsageError: There is no such type, or it is asked of a pair to SafeTensors by name.
    """
    text, by_name = playbook.outtype(gate.gate_id)
    file, place = playbook.place("aprtui", "outtype", gate.gate_id if by_name else DEFAULT)
    try:
        asked_for = parse_output_type(text)
    except UsageError as error:
        raise UsageError(error.problem, file=file, place=place, todo=error.todo) from None
    if gate.target is not FormatLetter.SAFETENSORS or not asked_for.needs_blocks:
        return asked_for
    if by_name:
        todo = "use lossless, f32, f16 or bf16"
        raise UsageError(f"SafeTensors cannot hold {asked_for.text}", file=file, place=place, todo=todo)
    return parse_output_type(LOSSLESS)


def converter_facts(converter: Converter) -> ConverterFacts:
    """Who a converter is now."""
    identity = converter.identity
    return ConverterFacts(identity.name, str(identity.path), identity.version, identity.digest)


@dataclass(frozen=True, slots=True)
class Standing:
    """What of an earlier attempt still stands.

    Attributes:
        gates: Ids of gates whose verdicts stand.
        conversions: Ids of conversions whose products may be used if their files are unchanged.
        reason: Why nothing stands; empty where something may.
    """

    gates: tuple[str, ...] = ()
    conversions: tuple[str, ...] = ()
    reason: str = ""


def what_stands(before: RunPlan, now: RunPlan, record: RunRecord) -> Standing:
    """What may be taken over if the model's files turn out to be unchanged.

    A gate that crashed or ran out of time has no verdict to take over, nor has one that was skipped unmeasured: what
    it lacked may be there this time.
    """
    versions = {(plan.aprtui_version, plan.rules_version) for plan in (before, now)}
    if before.converter != now.converter:
        return Standing(reason="the converter changed")
    if len(versions) > 1:
        return Standing(reason="aprtui changed")
    if before.model.path != now.model.path:
        return Standing(reason="the model is another one")
    conversions = _unchanged_chains(before.conversions, now.conversions)
    verdicts = {gate for gate, verdict in record.verdicts().items() if _stands(verdict, record)}
    same = {gate.gate_id for gate in now.gates if gate in before.gates and conversions.issuperset(gate.needs)}
    gates = tuple(gate.gate_id for gate in now.gates if gate.gate_id in same & verdicts)
    return Standing(gates, tuple(sorted(conversions & record.products.keys())))


def _stands(verdict: GateFinished, record: RunRecord) -> bool:
    if verdict.outcome is Outcome.SKIPPED:
        return bool(record.gates[verdict.gate].levels)
    return verdict.outcome in (Outcome.CORROBORATED, Outcome.FALSIFIED)


def _unchanged_chains(before: Iterable[PlannedConversion], now: Iterable[PlannedConversion]) -> set[str]:
    """Conversions that are planned as before, all the way from the model."""
    known, same = set(before), set[str]()
    for conversion in now:
        if conversion in known and (conversion.source is None or conversion.source in same):
            same.add(conversion.conversion_id)
    return same
