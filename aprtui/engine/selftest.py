"""Shows that aprtui finds and names what it promises to: every fault, put into products of the demo's own model.

A fault is found when the level that it names fails on the damaged copy and passes on the good product. It is named
when the diagnosis names a cause that stands for it, in something that was damaged, and no cause that is not true.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from time import monotonic
from typing import Any

from aprtui.compare.comparison import Scope, compare_models
from aprtui.compare.unreadable import unreadable_target
from aprtui.convert.builtin import BuiltinConverter
from aprtui.core.causes import CAUSES
from aprtui.core.diagnosis import Diagnosis
from aprtui.core.errors import FormatError
from aprtui.core.findings import LevelResult
from aprtui.core.outcomes import Level, Outcome
from aprtui.core.results import Comparison
from aprtui.diagnose import diagnose, diagnose_file
from aprtui.faults import FAULTS, Fault, NotApplicableError, inject, inject_several
from aprtui.formats.container import Format
from aprtui.formats.model import Model, open_model
from aprtui.formats.output_types import parse_output_type

_PRODUCTS = (
    (Format.SAFETENSORS, ("lossless",)),
    (Format.GGUF, ("lossless", "f16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "q4_k_m", "q5_k_m", "q6_k")),
    (Format.APR, ("lossless", "f16", "int8", "int4", "q4_k")),
)
"""Products in the order in which faults are tried on them: output types by format."""

_WHOLE = frozenset(
    {
        *("metadata.missing", "metadata.not_json", "metadata.constant_config", "metadata.guessed", "metadata.prefix"),
        *("metadata.constants_of_7b", "metadata.architecture"),
        *("tokenizer.missing", "tokenizer.stub", "tokenizer.not_json", "tokenizer.kind"),
    }
)
"""Faults that leave nothing of their level for another fault to damage."""

_ATTEMPTS_PER_STACK = 40

NAMED_SINGLES = 0.95
"""Share of single faults that must be named right."""

NAMED_STACKS = 0.85
"""Share of pairs and triples of faults with all members named."""


class Verdict(StrEnum):
    """What became of one fault in one format."""

    FOUND = "found"
    MISSED = "missed"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, slots=True)
class SelftestResult:
    """One fault in one format.

    Attributes:
        fault: The fault.
        format: The format.
        product: Output type of the product that was damaged; empty where none has what the fault damages.
        verdict: Whether it was found.
        reason: The first finding, or why there is none.
        causes: Codes of the causes that the diagnosis named.
        named: Whether they are the right ones.
        seconds: Comparison and diagnosis.
    """

    fault: Fault
    format: Format
    product: str
    verdict: Verdict
    reason: str
    causes: tuple[str, ...] = ()
    named: bool = False
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class StackResult:
    """Several faults in one product.

    Attributes:
        faults: Codes of the faults.
        format: The format.
        product: Its output type.
        causes: Codes of the causes that the diagnosis named.
        unnamed: Faults that no cause stands for.
        foreign: Causes that stand for no fault of the stack.
    """

    faults: tuple[str, ...]
    format: Format
    product: str
    causes: tuple[str, ...]
    unnamed: tuple[str, ...]
    foreign: tuple[str, ...]

    @property
    def named(self) -> bool:
        """Whether every member is named."""
        return not self.unnamed


@dataclass(frozen=True, slots=True)
class FalseAlarm:
    """A cause that was named in a good product.

    Attributes:
        format: Its format.
        product: Its output type.
        causes: What was named.
    """

    format: Format
    product: str
    causes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Product:
    model: Model
    asked_for: str


@dataclass(frozen=True, slots=True)
class _Judged:
    comparison: Comparison
    diagnosis: Diagnosis

    def level(self, level: Level) -> LevelResult | None:
        return next((result for result in self.comparison.levels if result.level is level), None)

    @property
    def codes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(named.code for named in self.diagnosis.causes))

    def names(self, fault: str, damaged: frozenset[str]) -> bool:
        """Whether a cause stands for a fault and has something that was damaged among its members."""
        return any(
            CAUSES[named.code].names(fault) and (not damaged or not damaged.isdisjoint(named.members))
            for named in self.diagnosis.causes
        )


class Selftest:
    """Faults against the products of one model.

    Args:
        source: A small model in SafeTensors.
        scratch: A directory for products and damaged copies.
    """

    def __init__(self, source: Path, scratch: Path) -> None:
        self.source = open_model(source)
        self._scratch = scratch
        self._products: dict[tuple[Format, str], _Product] = {}
        self._good: dict[tuple[Format, str, str], _Judged] = {}
        self._count = 0

    def results(self, faults: Iterable[Fault]) -> Iterator[SelftestResult]:
        """One result for each fault and format, in order."""
        for fault in faults:
            for format_, asked_for in _PRODUCTS:
                if format_ in fault.formats:
                    yield self._first_that_applies(fault, format_, asked_for)

    def stacks(self, count: int, seed: int) -> Iterator[StackResult]:
        """Seeded pairs and triples of faults that damage different things, in products that can still be opened."""
        chooser = random.Random(seed)  # noqa: S311 - a reproducible choice
        for _ in range(count * _ATTEMPTS_PER_STACK):
            if count <= 0:
                return
            faults = chooser.sample(list(FAULTS.values()), chooser.choice((2, 3)))
            format_, types = chooser.choice(_PRODUCTS)
            result = self._stack(faults, format_, chooser.choice(types), chooser)
            if result is not None:
                count -= 1
                yield result

    def false_alarms(self) -> Iterator[FalseAlarm]:
        """Causes that are named in good products."""
        for format_, types in _PRODUCTS:
            for asked_for in types:
                codes = self._judge_good(self._product(format_, asked_for), asked_for).codes
                if codes:
                    yield FalseAlarm(format_, asked_for, codes)

    @property
    def good_products(self) -> int:
        """How many products `false_alarms` looks at."""
        return sum(len(types) for _, types in _PRODUCTS)

    def _first_that_applies(self, fault: Fault, format_: Format, types: tuple[str, ...]) -> SelftestResult:
        reason = fault.requires
        for asked_for in types:
            product = self._product(format_, asked_for)
            place = self._place()
            try:
                damaged = inject(fault, product.model, place, source=self.source)
            except NotApplicableError as refusal:
                reason = refusal.problem
                continue
            try:
                return self._result(fault, product, damaged.path, damaged.subjects)
            finally:
                shutil.rmtree(place, ignore_errors=True)
        return SelftestResult(fault, format_, "", Verdict.NOT_APPLICABLE, reason)

    def _result(self, fault: Fault, product: _Product, path: Path, subjects: frozenset[str]) -> SelftestResult:
        asked_for = fault.asked_for or product.asked_for
        good = self._judge_good(product, asked_for)
        started = monotonic()
        found = self._judge(path, asked_for)
        verdict, reason = _verdict(fault, good, found, subjects)
        causes = tuple(code for code in found.codes if code not in good.codes)
        true = bool(causes) and all(CAUSES[code].is_right_beside(fault.code) for code in causes)
        named = true and found.names(fault.code, subjects)
        seconds = monotonic() - started
        format_ = product.model.format
        return SelftestResult(fault, format_, product.asked_for, verdict, reason, causes, named, seconds)

    def _stack(
        self, faults: Sequence[Fault], format_: Format, asked_for: str, chooser: random.Random
    ) -> StackResult | None:
        """Several faults at once; None where they do not apply together, or leave nothing to open."""
        levels = [fault.level for fault in faults if fault.code in _WHOLE]
        if any(sum(fault.level is level for fault in faults) > 1 for level in levels):
            return None
        if any(fault.asked_for not in (None, asked_for) for fault in faults):
            return None
        place = self._place()
        seeds = [chooser.randrange(1 << 16) for _ in faults]
        product = self._product(format_, asked_for)
        try:
            damaged = inject_several(faults, product.model, place, source=self.source, seeds=seeds)
            open_model(damaged.path)
            found = self._judge(damaged.path, asked_for)
        except (NotApplicableError, FormatError):
            return None
        finally:
            shutil.rmtree(place, ignore_errors=True)
        codes = tuple(fault.code for fault in faults)
        parts = zip(codes, damaged.by_fault, strict=True)
        unnamed = tuple(code for code, subjects in parts if not found.names(code, subjects))
        foreign = tuple(
            cause for cause in found.codes if not any(CAUSES[cause].is_right_beside(code) for code in codes)
        )
        return StackResult(codes, format_, asked_for, found.codes, unnamed, foreign)

    def _judge_good(self, product: _Product, asked_for: str) -> _Judged:
        key = (product.model.format, product.asked_for, asked_for)
        if key not in self._good:
            self._good[key] = self._judge(product.model.path, asked_for)
        return self._good[key]

    def _judge(self, path: Path, asked_for: str) -> _Judged:
        scope = Scope(asked_for=parse_output_type(asked_for))
        try:
            target = open_model(path)
        except FormatError as error:
            comparison = unreadable_target(self.source, path, error)
            return _Judged(comparison, diagnose_file(comparison, path))
        comparison = compare_models(self.source, target, scope)
        return _Judged(comparison, diagnose(self.source, target, comparison, scope).diagnosis)

    def _place(self) -> Path:
        self._count += 1
        return self._scratch / f"damaged-{self._count}"

    def _product(self, format_: Format, asked_for: str) -> _Product:
        key = (format_, asked_for)
        if key not in self._products:
            model = self.source
            if format_ is not Format.SAFETENSORS:
                place = self._scratch / f"{format_.value}-{asked_for}"
                place.mkdir()
                path = BuiltinConverter().convert(self.source.path, format_, place, parse_output_type(asked_for))
                model = open_model(path)
            self._products[key] = _Product(model, asked_for)
        return self._products[key]


def _verdict(fault: Fault, good: _Judged, found: _Judged, subjects: frozenset[str]) -> tuple[Verdict, str]:
    """Whether the level of a fault passes without it and fails with it, about what it damaged."""
    before, after = good.level(fault.level), found.level(fault.level)
    if before is None or before.outcome is not Outcome.CORROBORATED:
        message = before.failures[0].message if before is not None and before.failures else "was not compared"
        return Verdict.MISSED, f"the good product does not pass {fault.level}: {message}"
    if after is None or after.outcome is not Outcome.FALSIFIED:
        return Verdict.MISSED, f"{fault.level} passes"
    about = [finding for finding in after.failures if not subjects or finding.subject in subjects]
    if not about:
        return Verdict.MISSED, f"{fault.level} fails for another reason: {after.failures[0].message}"
    return Verdict.FOUND, f"{about[0].subject}: {about[0].message}"


def summarised(
    singles: Sequence[SelftestResult],
    stacks: Sequence[StackResult],
    alarms: Sequence[FalseAlarm],
    products: int,
    seconds: float,
) -> dict[str, Any]:
    """Counts of a self-test, and whether it passed: all found, enough named, no false alarm.

    Args:
        singles: Results of single faults.
        stacks: Results of several faults at once.
        alarms: Causes named in good products.
        products: How many good products were looked at.
        seconds: How long it all took.
    """
    tried = [result for result in singles if result.verdict is not Verdict.NOT_APPLICABLE]
    found = sum(result.verdict is Verdict.FOUND for result in tried)
    named, named_stacks = sum(result.named for result in tried), sum(stack.named for stack in stacks)
    enough = named >= NAMED_SINGLES * len(tried) and named_stacks >= NAMED_STACKS * len(stacks)
    return {
        "faults": len({result.fault.code for result in tried}),
        "copies": len(tried),
        "found": found,
        "named": named,
        "not_applicable": len(singles) - len(tried),
        "stacks": len(stacks),
        "stacks_named": named_stacks,
        "stacks_with_foreign_causes": sum(bool(stack.foreign) for stack in stacks),
        "good_products": products,
        "false_alarms": len(alarms),
        "seconds": round(seconds, 1),
        "passed": bool(tried) and found == len(tried) and enough and not alarms,
    }
