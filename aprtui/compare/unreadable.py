"""A product that cannot be opened is a finding of the converter, not an error of aprtui."""

from __future__ import annotations

from pathlib import Path

from aprtui.core.errors import AprtuiError
from aprtui.core.findings import Finding, FindingKind, judge_level
from aprtui.core.outcomes import Level
from aprtui.core.results import Comparison, WeightsClass
from aprtui.formats.model import Model


def unreadable_target(source: Model, target: Path, error: AprtuiError) -> Comparison:
    """The comparison of a model with a file that is no readable model: a falsified integrity level."""
    finding = Finding(Level.INTEGRITY, "file", error.message, place="B", kind=FindingKind.UNREADABLE)
    return Comparison(
        source=str(source.path),
        target=str(target),
        levels=(judge_level(Level.INTEGRITY, [finding], checked=1),),
        tensors=(),
        weights=WeightsClass.NOT_COMPARED,
        not_checked=("every other level: B cannot be read",),
        asked_for=None,
        seconds=0.0,
        bytes_read=0,
    )
