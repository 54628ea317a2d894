"""From a playbook to a plan: which gates, the comparisons they are judged from, the conversions those need."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import aprtui
from aprtui.convert import Converter
from aprtui.core.errors import UsageError
from aprtui.core.events import ConverterFacts
from aprtui.core.gate_table import CONVERSION_PAIRS, GATES
from aprtui.core.gates import FORMAT_TITLES, FormatLetter, Gate, GateFamily
from aprtui.core.outcomes import Level
from aprtui.core.scenarios import NO_LIMITS, SECONDS_OF_A_PROMPT
from aprtui.engine.routes import EXACT_OUTTYPES, Routes
from aprtui.engine.scenario_plan import Scenarios
from aprtui.engine.selection import EVERYTHING, Selection
from aprtui.engine.stored_models import StoredModel, check_source, read_stored
from aprtui.formats.digest import file_digest
from aprtui.formats.output_types import OutputTypes, parse_output_type
from aprtui.models import GivenSource, ResolvedModel
from aprtui.playbook import Playbook
from aprtui.playbook.keys import DEFAULT
from aprtui.playbook.playbook import LOSSLESS
from aprtui.store.plan import (
    Limits,
    ModelFacts,
    NotPlanned,
    PlannedComparison,
    PlannedGate,
    PlaybookFacts,
    Running,
    RunPlan,
    SourceFacts,
)

RULES_VERSION = "3"
"""Version of the tolerances, layout rules and gates; evidence names it."""

_STATIC_LEVELS = tuple(level for level in Level if level is not Level.BEHAVIOUR)
_WITHOUT_LEVELS = "its levels are left out"
_RUNS_MODELS = "it runs models; ask for it with --level all, or behaviour in aprtui.levels"
_OF_CONFIG_JSON = ("G0-INTEGRITY-CONFIG", "G0-INTEGRITY-LAYERS", "G0-INTEGRITY-HIDDEN", "G0-INTEGRITY-VOCAB")


@dataclass(frozen=True, slots=True)
class Places:
    """Where a run puts things.

    Attributes:
        folder: The run folder, new or, to go on with a run, that of the run.
        evidence: Where evidence.json goes, beside the one in the run folder.
        scratch: Where products go, and stay for later runs; None for the run folder, with which they end.
        ignores_kept: Whether products that earlier runs left there are passed over.
    """

    folder: Path
    evidence: Path
    scratch: Path | None = None
    ignores_kept: bool = False


@dataclass(frozen=True, slots=True)
class Start:
    """What conversions start from.

    Attributes:
        model: The run's model, as it was found.
        sources: Files that pairs start from instead of ones that the converter makes.
        device: Where models are run.
        apr: The command that the engine apr runs.
    """

    model: ResolvedModel
    sources: tuple[GivenSource, ...] = ()
    device: str = "cpu"
    apr: str = "apr"


def new_run_id() -> str:
    """Local time and random digits: sorts by age, and names no run twice."""
    return f"{datetime.now():%Y%m%d-%H%M%S}-{os.urandom(2).hex()}"


def make_plan(
    playbook: Playbook,
    start: Start,
    converter: Converter | None,
    *,
    places: Places,
    limits: Limits,
    selection: Selection = EVERYTHING,
) -> RunPlan:
    """The plan of a run.

    Args:
        playbook: What to run.
        start: The model and sources that its conversions start from.
        converter: The converter under test, if there is one.
        places: Where things go.
        limits: What the run may use.
        selection: What of it to run.

    Raises:
        UsageError: The playbook asks for an output type that does not exist, a source is another model, or the
            selection fits no gate.
    """
    check_outtypes(playbook)
    model = read_stored(start.model.path)
    stored = {**_read_sources(start.sources, model), model.letter: model}
    expected = playbook.model.expected
    scenarios = Scenarios(playbook, selection, start.apr)
    candidates, not_planned = _candidates(playbook, stored, model.letter, _levels(playbook, selection), scenarios)
    gates = selection.of(candidates, not_planned)
    routes = _routes(playbook, stored, model.letter, candidates, selection, expects=bool(expected))
    planned = tuple(_planned(gate, routes, scenarios) for gate in gates)
    run_id = places.folder.name
    scratch = places.folder / "products" if places.scratch is None else places.scratch
    return RunPlan(
        run_id=run_id,
        playbook=_playbook_facts(playbook, selection.allow_skip),
        model=_model_facts(start.model, model, expected),
        sources=tuple(_source_facts(source, stored[source.letter]) for source in start.sources),
        converter=None if converter is None else converter_facts(converter),
        gates=planned,
        comparisons=_used_comparisons(routes, planned),
        conversions=tuple(routes.conversions.values()),
        not_planned=tuple(not_planned),
        tolerances=playbook.tolerances,
        running=_running(playbook, start),
        selection=selection.arguments,
        limits=limits,
        evidence=str(places.evidence.absolute()),
        scratch=str(scratch.absolute()),
        keeps_products=places.scratch is not None,
        ignores_kept=places.ignores_kept,
        aprtui_version=aprtui.__version__,
        rules_version=RULES_VERSION,
        scenarios=tuple(scenarios.entered.values()),
        engines_left_out=scenarios.left_out(),
    )


def planned_gates(playbook: Playbook) -> tuple[str, ...]:
    """Ids of the gates that a run of a playbook plans for a SafeTensors model, whichever that is."""
    scenarios = Scenarios(playbook, EVERYTHING, "apr")
    root = FormatLetter.SAFETENSORS
    candidates, _ = _candidates(playbook, {}, root, _levels(playbook, EVERYTHING), scenarios)
    return tuple(gate.gate_id for gate in candidates)


def _read_sources(sources: Sequence[GivenSource], model: StoredModel) -> dict[FormatLetter, StoredModel]:
    stored = {source.letter: read_stored(source.path) for source in sources}
    for source in sources:
        check_source(source, stored[source.letter], model)
    return stored


def _planned(gate: Gate, routes: Routes, scenarios: Scenarios) -> PlannedGate:
    return scenarios.plan(gate, routes.source) if gate.family is GateFamily.SCENARIO else routes.plan(gate)


def _running(playbook: Playbook, start: Start) -> Running:
    matrix, profile = playbook.test_matrix, playbook.profile
    return Running(
        prompts=tuple(matrix.prompts),
        device=start.device,
        oracles=playbook.oracles,
        prompt_seconds=SECONDS_OF_A_PROMPT if matrix.timeout_ms is None else matrix.timeout_ms / 1000,
        apr=start.apr,
        speed=NO_LIMITS if profile is None else profile.assertions.limits,
    )


def _playbook_facts(playbook: Playbook, allow_skip: tuple[str, ...]) -> PlaybookFacts:
    return PlaybookFacts(
        path=str(playbook.path.absolute()),
        name=playbook.name,
        version=playbook.version,
        repo=playbook.model.hf_repo,
        seed=playbook.seed,
        allow_skip=(*playbook.settings.allow_skip, *allow_skip),
        digest=file_digest(playbook.path),
        fingerprint=playbook.fingerprint,
    )


def _model_facts(model: ResolvedModel, stored: StoredModel, expected: Mapping[str, int]) -> ModelFacts:
    path = str(model.path.absolute())
    return ModelFacts(path, model.how, model.commit, stored.letter.value, expected, stored.nbytes)


def _source_facts(source: GivenSource, stored: StoredModel) -> SourceFacts:
    return SourceFacts(source.letter.value, str(source.path.absolute()), source.how, stored.nbytes)


def _routes(
    playbook: Playbook,
    stored: Mapping[FormatLetter, StoredModel],
    root: FormatLetter,
    candidates: list[Gate],
    selection: Selection,
    *,
    expects: bool,
) -> Routes:
    parameters = stored[root].parameters

    def size(source_bytes: int, asked_for: OutputTypes) -> int:
        bits = asked_for.bits_per_weight
        return source_bytes if bits is None else int(parameters * bits / 8)

    return Routes(
        root=root,
        given=frozenset(stored) - {root},
        pairs=tuple(gate for gate in candidates if gate.family is GateFamily.PAIR),
        levels=tuple(level for level in Level if level in _levels(playbook, selection)),
        tensors=selection.tensors or tuple(playbook.settings.tensors),
        outtype=lambda source, target: outtype(playbook, source, target),
        size=size,
        sizes={letter: one.nbytes for letter, one in stored.items()},
        expects=expects,
    )


def _candidates(
    playbook: Playbook,
    stored: Mapping[FormatLetter, StoredModel],
    root: FormatLetter,
    levels: Collection[Level],
    scenarios: Scenarios,
) -> tuple[list[Gate], list[NotPlanned]]:
    """Gates that a run of this playbook can have, and why the others are none of them."""
    candidates, not_planned = [], []
    pairs = any(gate.formats <= set(playbook.model.formats) for gate in CONVERSION_PAIRS)
    blocks = any(one.has_blocks for one in stored.values()) or _asks_for_blocks(playbook, root)
    for gate in GATES.values():
        if gate.family is GateFamily.SCENARIO:
            reason = scenarios.why_not(gate)
        else:
            reason = _why_not(gate, playbook, root, pairs=pairs, blocks=blocks)
        if not reason and gate.levels and not set(gate.levels) & set(levels):
            reason = _WITHOUT_LEVELS if levels != _STATIC_LEVELS else _RUNS_MODELS
        if not reason and gate.gate_id == "F-CONV-COM-001":
            reason = _why_ends_differ(gate, playbook, stored, root)
        if reason:
            not_planned.append(NotPlanned(gate.gate_id, reason))
        else:
            candidates.append(gate)
    return candidates, [*not_planned, *scenarios.never_planned()]


def _levels(playbook: Playbook, selection: Selection) -> tuple[Level, ...]:
    """The levels that a run checks: those named with it, else the playbook's, else all that run no model."""
    return selection.levels or tuple(playbook.settings.levels) or _STATIC_LEVELS


def _asks_for_blocks(playbook: Playbook, root: FormatLetter) -> bool:
    """Whether the source of some pair is a conversion to block types."""
    letters = [letter for letter in playbook.model.formats if letter is not root]
    return any(outtype(playbook, root, letter).needs_blocks for letter in letters)


def _why_not(gate: Gate, playbook: Playbook, root: FormatLetter, *, pairs: bool, blocks: bool) -> str:
    """Why a run does not have a gate; empty where it does."""
    formats = set(playbook.model.formats)
    missing = [FORMAT_TITLES[letter] for letter in FormatLetter if letter in gate.formats - formats]
    if missing:
        return f"the playbook does not name {', '.join(missing)}"
    if gate.family is GateFamily.CONTENT and not pairs:
        return "there is no pair to convert"
    if gate.gate_id == "F-CONV-DEQUANT-001" and not blocks:
        return "no source stores tensors in blocks"
    if gate.family is GateFamily.GATEWAY and gate.routes and gate.target is root:
        return f"the run's model is {FORMAT_TITLES[root]} itself"
    if gate.gate_id in _OF_CONFIG_JSON and root is not FormatLetter.SAFETENSORS:
        return f"{FORMAT_TITLES[root]} has no config.json that could contradict its tensors"
    return _not_among_invariants(gate, playbook)


def _why_ends_differ(
    gate: Gate, playbook: Playbook, stored: Mapping[FormatLetter, StoredModel], root: FormatLetter
) -> str:
    """Why honest conversions along both routes of a gate need not end in equal files; empty where they have to."""
    hops = [pair for route in gate.routes for pair in pairwise(map(FormatLetter, route))]
    asked_for = {hop: outtype(playbook, *hop) for hop in hops}
    types = list(dict.fromkeys(one.text for one in asked_for.values() if one.text not in EXACT_OUTTYPES))
    if len(types) > 1:
        return f"its routes round in several ways ({', '.join(types)}), so that their ends need not be equal"
    letter = gate.source
    has_blocks = stored[letter].has_blocks if letter in stored else outtype(playbook, root, letter).needs_blocks
    # What GGUF has no blocks of is encoded from equal values on both routes.
    if has_blocks and asked_for[hops[-1]].needs_blocks and types not in (["int8"], ["int4"]):
        return "one route may keep the source's blocks, the other decodes them and encodes them once more"
    return ""


def _not_among_invariants(gate: Gate, playbook: Playbook) -> str:
    asked = playbook.contract_tests.invariants
    number = gate.gate_id.removeprefix("F-CONTRACT-I").partition("-")[0]
    if gate.gate_id.startswith("F-CONTRACT") and asked and f"I-{number}" not in asked:
        return f"the playbook asks for {', '.join(asked)}"
    return ""


def _used_comparisons(routes: Routes, gates: tuple[PlannedGate, ...]) -> tuple[PlannedComparison, ...]:
    used = dict.fromkeys(one for gate in gates for one in gate.comparisons)
    return tuple(routes.comparisons[one] for one in used)


def check_outtypes(playbook: Playbook) -> None:
    """Every output type that a playbook names exists, and its format can hold it.

    Raises:
        UsageError: One does not.
    """
    for gate in CONVERSION_PAIRS:
        outtype(playbook, gate.source, gate.target)


def outtype(playbook: Playbook, source: FormatLetter, target: FormatLetter) -> OutputTypes:
    """The output type that a playbook asks of a conversion.

    A type for all pairs that SafeTensors cannot hold leaves pairs to SafeTensors lossless.

    Raises:
        UsageError: There is no such type, or it is asked of a pair to SafeTensors by name.
    """
    pair = f"F-CONV-{source}-{target}"
    text, by_name = playbook.outtype(pair)
    file, place = playbook.place("aprtui", "outtype", pair if by_name else DEFAULT)
    try:
        asked_for = parse_output_type(text)
    except UsageError as error:
        raise UsageError(error.problem, file=file, place=place, todo=error.todo) from None
    if target is not FormatLetter.SAFETENSORS or not asked_for.needs_blocks:
        return asked_for
    if by_name:
        todo = "use lossless, f32, f16 or bf16"
        raise UsageError(f"SafeTensors cannot hold {asked_for.text}", file=file, place=place, todo=todo)
    return parse_output_type(LOSSLESS)


def converter_facts(converter: Converter) -> ConverterFacts:
    """Who a converter is now."""
    identity = converter.identity
    return ConverterFacts(identity.name, str(identity.path), identity.version, identity.digest)
