"""What aprtui takes from a playbook, and what it has to say about the rest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from aprtui.core.json_values import to_json
from aprtui.core.scenarios import Oracles
from aprtui.core.tolerance import ToleranceSettings
from aprtui.playbook.keys import (
    DEFAULT,
    AprtuiKeys,
    ContractTests,
    DifferentialTests,
    Gateways,
    PlaybookModel,
    Profile,
    TestMatrix,
    Tolerance,
)

LOSSLESS = "lossless"
"""Output type of a conversion that asks for none."""


class ComplaintKind(StrEnum):
    """What a complaint is about."""

    UNREAD = "not read"
    LATER = "not used by this version of aprtui"
    OVERRULED = "overruled"
    UNKNOWN = "unknown key"
    LOCK = "lock file"


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something in a playbook that has no effect, or not the effect that its author expects.

    Attributes:
        line: Line in the file, from 1.
        key: Dotted key path.
        message: What happens instead; empty where the kind says it all.
        kind: What it is about.
        file: The file, where it is not the playbook itself.
    """

    line: int
    key: str
    message: str = ""
    kind: ComplaintKind = ComplaintKind.UNREAD
    file: Path | None = None


@dataclass(frozen=True, slots=True)
class Playbook:
    """A playbook of a model.

    Attributes:
        path: The file.
        name: Its name.
        version: Its version, as text.
        model: The model.
        test_matrix: Scenarios.
        contract_tests: Format contracts.
        differential_tests: Comparisons between formats.
        gateways: Gateways of the scenarios.
        oracles: What judges the answers of scenarios.
        profile: How fast engines generate; None where the playbook does not ask.
        settings: Keys of aprtui's own.
        complaints: What has no effect, or not the effect that its author expects; by file and line.
        places: File and line of every key path.
    """

    path: Path
    name: str
    version: str
    model: PlaybookModel
    test_matrix: TestMatrix
    contract_tests: ContractTests
    differential_tests: DifferentialTests
    gateways: Gateways
    oracles: Oracles
    profile: Profile | None
    settings: AprtuiKeys
    complaints: tuple[Complaint, ...]
    places: Mapping[tuple[str, ...], tuple[Path, int]] = field(repr=False)

    @property
    def seed(self) -> int:
        """Seed of its scenarios; evidence repeats it."""
        return self.test_matrix.seed

    @property
    def fingerprint(self) -> str:
        """Digest of everything that a run follows from except the tolerances.

        Two playbooks that differ in their tolerances alone have the same one: what was measured for one can be judged
        for the other.
        """
        settings = self.settings.model_dump(mode="json", exclude={"tolerance"})
        sections = (self.model, self.contract_tests, self.test_matrix, self.gateways, self.profile)
        asked = [self.name, settings, to_json(self.oracles)]
        asked += [None if section is None else section.model_dump(mode="json") for section in sections]
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()

    @property
    def tolerances(self) -> ToleranceSettings:
        """The tolerances that it sets, with the lines where they stand."""
        own = self.settings.tolerance
        if own == Tolerance():
            return ToleranceSettings()
        origins = {key: self._line("aprtui", "tolerance", key) for key, value in own if value is not None}
        return ToleranceSettings(**dict(own), origin=self._line("aprtui", "tolerance"), origins=origins)

    @property
    def has_scenarios(self) -> bool:
        """Whether it asks for any."""
        return ("test_matrix",) in self.places

    def outtype(self, gate_id: str) -> tuple[str, bool]:
        """The output type of a pair's conversions, and whether the playbook names it for this very pair."""
        by_pair = self.settings.outtype
        return by_pair.get(gate_id, by_pair.get(DEFAULT, LOSSLESS)), gate_id in by_pair

    def _line(self, *key: str) -> str:
        file, place = self.place(*key)
        return f"{file}, {place.partition(',')[0]}"

    def place(self, *key: str) -> tuple[Path, str]:
        """File, and line with key, of a key path or of the innermost key above it that is there; for errors."""
        for length in range(len(key), 0, -1):
            if key[:length] in self.places:
                file, line = self.places[key[:length]]
                return file, f"line {line}, {'.'.join(key[:length])}"
        return self.path, ".".join(key)
