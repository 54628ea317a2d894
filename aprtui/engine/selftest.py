"""Shows that aprtui finds what it promises to find: every fault, put into products of the demo's own model.

A fault counts as found when the level that it names fails on the damaged copy and passes on the good product.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from aprtui.compare.comparison import Scope, compare_models
from aprtui.compare.unreadable import unreadable_target
from aprtui.convert.builtin import BuiltinConverter
from aprtui.core.errors import FormatError
from aprtui.core.findings import LevelResult
from aprtui.core.outcomes import Level, Outcome
from aprtui.faults import Fault, NotApplicableError, inject
from aprtui.formats.container import Format
from aprtui.formats.model import Model, open_model
from aprtui.formats.output_types import parse_output_type

_PRODUCTS = (
    (Format.SAFETENSORS, ("lossless",)),
    (Format.GGUF, ("lossless", "f16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "q4_k_m", "q5_k_m", "q6_k")),
    (Format.APR, ("lossless", "f16", "int8", "int4", "q4_k")),
)
"""Products in the order in which faults are tried on them: output types by format."""


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
    """

    fault: Fault
    format: Format
    product: str
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class _Product:
    model: Model
    asked_for: str


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
        self._good: dict[tuple[Format, str, str, Level], LevelResult] = {}
        self._count = 0

    def results(self, faults: Iterable[Fault]) -> Iterator[SelftestResult]:
        """One result for each fault and format, in order."""
        for fault in faults:
            for format_, asked_for in _PRODUCTS:
                if format_ in fault.formats:
                    yield self._first_that_applies(fault, format_, asked_for)

    def _first_that_applies(self, fault: Fault, format_: Format, types: tuple[str, ...]) -> SelftestResult:
        reason = fault.requires
        for asked_for in types:
            product = self._product(format_, asked_for)
            self._count += 1
            place = self._scratch / f"damaged-{self._count}"
            try:
                damaged = inject(fault, product.model, place, source=self.source)
            except NotApplicableError as refusal:
                reason = refusal.problem
                continue
            try:
                verdict, reason = self._judge(fault, product, damaged.path, damaged.subjects)
            finally:
                shutil.rmtree(place, ignore_errors=True)
            return SelftestResult(fault, format_, asked_for, verdict, reason)
        return SelftestResult(fault, format_, "", Verdict.NOT_APPLICABLE, reason)

    def _judge(self, fault: Fault, product: _Product, damaged: Path, subjects: frozenset[str]) -> tuple[Verdict, str]:
        good = self._good_result(fault, product)
        if good.outcome is not Outcome.CORROBORATED:
            findings = good.failures or (None,)
            message = findings[0].message if findings[0] else good.outcome.value
            return Verdict.MISSED, f"the good product does not pass {fault.level}: {message}"
        found = self._compare(fault, damaged, fault.asked_for or product.asked_for)
        named = [finding for finding in found.failures if not subjects or finding.subject in subjects]
        if found.outcome is not Outcome.FALSIFIED:
            return Verdict.MISSED, f"{fault.level} passes"
        if not named:
            return Verdict.MISSED, f"{fault.level} fails for another reason: {found.failures[0].message}"
        return Verdict.FOUND, f"{named[0].subject}: {named[0].message}"

    def _good_result(self, fault: Fault, product: _Product) -> LevelResult:
        asked_for = fault.asked_for or product.asked_for
        key = (product.model.format, product.asked_for, asked_for, fault.level)
        if key not in self._good:
            self._good[key] = self._compare(fault, product.model.path, asked_for)
        return self._good[key]

    def _compare(self, fault: Fault, path: Path, asked_for: str) -> LevelResult:
        scope = Scope(levels=(fault.level,), asked_for=parse_output_type(asked_for))
        try:
            comparison = compare_models(self.source, open_model(path), scope)
        except FormatError as error:
            comparison = unreadable_target(self.source, path, error)
        return next(result for result in comparison.levels if result.level is fault.level)

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
