"""Which files run in which engines: from a playbook's scenarios to steps of a run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from aprtui.core.gates import FORMAT_TITLES, FormatLetter, Gate
from aprtui.core.scenario_gates import ANSWER_GATES, NEVER_PLANNED, SPEED_GATES, THROUGHPUT
from aprtui.core.scenarios import Backend, EngineName, Modality
from aprtui.engine.selection import Selection
from aprtui.inference.scenarios import why_absent
from aprtui.playbook import Playbook
from aprtui.store.plan import NotPlanned, PlannedGate, PlannedScenario

_FORMATS = {
    EngineName.REFERENCE: frozenset(FormatLetter),
    EngineName.LLAMA_CPP: frozenset({FormatLetter.GGUF}),
    EngineName.APR: frozenset(FormatLetter),
}
"""What each engine opens, known without starting it."""

_ASKED_BY = {gate.gate_id: asked for asked, gate in ANSWER_GATES.items()}
_NO_CHAT = frozenset({EngineName.APR})
"""Engines whose chat prints a session of no known shape."""


@dataclass
class Scenarios:
    """The scenarios that gates need; each is entered once.

    Attributes:
        playbook: The playbook.
        selection: What of it to run.
        apr: The command that the engine apr runs.
        entered: Scenarios by id.
    """

    playbook: Playbook
    selection: Selection
    apr: str
    entered: dict[str, PlannedScenario] = field(default_factory=dict)

    def why_not(self, gate: Gate) -> str:
        """Why a run does not have a gate of scenarios; empty where it does, if it checks behaviour."""
        playbook = self.playbook
        if gate in SPEED_GATES:
            return self._why_no_speed(gate)
        if not playbook.has_scenarios:
            return "the playbook has no test_matrix"
        modality, backend = self._asked_by(gate)
        if modality not in playbook.test_matrix.modalities:
            return f"{modality} is not among the playbook's modalities"
        key = playbook.gateways.left_out.get(gate.gate_id)
        if key is not None:
            return f"the playbook leaves it out ({key})"
        if backend is not None and backend not in playbook.test_matrix.backends:
            return f"{backend} is not among the playbook's backends"
        return self._why_nothing_runs(self._backends(gate), playbook.model.formats, modality)

    def _asked_by(self, gate: Gate) -> tuple[Modality, Backend | None]:
        """Modality and backend of a gate; gateways look at what is run, and at chat where nothing is run."""
        modalities = self.playbook.test_matrix.modalities
        only_chat = Modality.CHAT in modalities and Modality.RUN not in modalities and gate not in SPEED_GATES
        return _ASKED_BY.get(gate.gate_id, (Modality.CHAT if only_chat else Modality.RUN, None))

    def _why_no_speed(self, gate: Gate) -> str:
        profile = self.playbook.profile
        if profile is None or not profile.enabled:
            return "the playbook has no profile_ci" if profile is None else "profile_ci.enabled is false"
        limits = profile.assertions.limits
        stated = {"F-PROFILE-CI-002": limits.p99_ms, "F-PROFILE-CI-003": limits.p50_ms}
        if gate is not THROUGHPUT and stated[gate.gate_id] is None:
            key = "max_p99_ms" if gate.gate_id == "F-PROFILE-CI-002" else "max_p50_ms"
            return f"the playbook names no threshold (profile_ci.assertions.{key})"
        return self._why_nothing_runs(self._backends(gate), self._timed_formats(), Modality.RUN)

    def _why_nothing_runs(
        self, backends: Collection[Backend], formats: Collection[FormatLetter], modality: Modality
    ) -> str:
        if not backends:
            return f"only {', '.join(self.selection.backends)} was asked for"
        if not list(self._combinations(backends, formats, modality)):
            titles = ", ".join(FORMAT_TITLES[letter] for letter in formats)
            chat = " in its chat template" if modality is Modality.CHAT else ""
            return f"none of the engines asked for ({', '.join(self.selection.engines)}) runs {titles}{chat}"
        return ""

    def _backends(self, gate: Gate) -> list[Backend]:
        """What a gate's scenarios run on."""
        profile, (_, own) = self.playbook.profile, self._asked_by(gate)
        named = self.playbook.test_matrix.backends if profile is None or gate not in SPEED_GATES else profile.backends
        return [
            backend
            for backend in Backend
            if backend in named
            and own in (None, backend)
            and (not self.selection.backends or backend in self.selection.backends)
        ]

    def _timed_formats(self) -> list[FormatLetter]:
        profile = self.playbook.profile
        return [letter for letter in self.playbook.model.formats if profile is not None and letter in profile.formats]

    def _combinations(
        self, backends: Collection[Backend], formats: Collection[FormatLetter], modality: Modality
    ) -> Iterator[tuple[FormatLetter, EngineName, Backend]]:
        """Files, engines and backends; without names those engines that this machine has, and always the reference."""
        for backend in backends:
            for letter in formats:
                for engine in EngineName:
                    if modality is Modality.CHAT and engine in _NO_CHAT:
                        continue
                    if letter in _FORMATS[engine] and self._is_wanted(engine, backend):
                        yield letter, engine, backend

    def _is_wanted(self, engine: EngineName, backend: Backend) -> bool:
        if self.selection.engines:
            return engine in self.selection.engines
        return engine is EngineName.REFERENCE or not why_absent(engine, backend, self.apr)

    def plan(self, gate: Gate, source: Callable[[FormatLetter], str]) -> PlannedGate:
        """Enter what a gate needs.

        Args:
            gate: The gate.
            source: The file of a format: the model, a given source, or the model's own conversion.
        """
        profile = self.playbook.profile if gate in SPEED_GATES else None
        formats = self.playbook.model.formats if profile is None else self._timed_formats()
        modality, _ = self._asked_by(gate)
        names = []
        for letter, engine, backend in self._combinations(self._backends(gate), formats, modality):
            file = source(letter)
            name = f"{file}@{engine}:{backend}{':chat' if modality is Modality.CHAT else ''}"
            planned = PlannedScenario(name, file, engine, backend, modality=modality)
            if profile is not None:
                planned = PlannedScenario(f"{name}:speed", file, engine, backend, profile.warmup, profile.measure)
            names.append(self.entered.setdefault(planned.scenario_id, planned).scenario_id)
        return PlannedGate(gate.gate_id, (), gate.levels, scenarios=tuple(names))

    def never_planned(self) -> list[NotPlanned]:
        """Gates of apr-qa that the playbook asks for and that are no question of a file."""
        if not self.playbook.has_scenarios:
            return []
        matrix = self.playbook.test_matrix
        if Modality.SERVE not in matrix.modalities:
            return []
        return [NotPlanned(*NEVER_PLANNED[backend]) for backend in Backend if backend in matrix.backends]

    def left_out(self) -> tuple[str, ...]:
        """Engines that this machine does not have and nobody named, with what is missing."""
        if not self.entered or self.selection.engines:
            return ()
        reasons = {engine: why_absent(engine, Backend.CPU, self.apr) for engine in EngineName}
        return tuple(
            f"{engine}: {reason}" for engine, reason in reasons.items() if reason and engine is not EngineName.REFERENCE
        )
