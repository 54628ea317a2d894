"""Two ways to the same format: converting twice, and by way of another format."""

from __future__ import annotations

from aprtui.core.outcomes import Outcome
from aprtui.gates.verdict import (
    WORDS_OF_FAILURE,
    Measurements,
    Verdict,
    absent_levels,
    finding_text,
    format_title,
    not_measured,
    only_a_part,
)


def judge_two_routes(measurements: Measurements) -> Verdict:
    """Outcome and reason of a gate whose one comparison holds the ends of both routes against each other.

    Both ends are products of the tested converter: a conversion on either route that left none has its own outcome,
    except the one that makes the common source.
    """
    (measured,) = measurements.all
    planned, failed = measured.planned, measured.failed
    if failed is not None:
        made_source = not failed.conversion.startswith(_common_source(planned.source, planned.target) + ">")
        text = f"conversion {failed.conversion} {WORDS_OF_FAILURE[failed.outcome]}: {failed.reason}"
        if made_source:
            source = format_title(failed.conversion).lower()
            return Verdict(Outcome.SKIPPED, f"no {source} source: {text}")
        return Verdict(failed.outcome, text, stderr=failed.stderr)
    verdict = not_measured(measured)
    if verdict is not None:
        return verdict
    finished = measured.finished
    failures = [one for one in measured.record.failures if not measured.is_shared(one)]
    if failures:
        return Verdict(Outcome.FALSIFIED, f"the two products differ: {finding_text(failures)}")
    if finished.outcome in (Outcome.CRASHED, Outcome.TIMEOUT):
        return Verdict(finished.outcome, finished.reason, stderr=finished.stderr)
    absent = absent_levels(measured, measurements.gate.levels)
    if absent:
        return Verdict(Outcome.SKIPPED, f"could not check {', '.join(absent)}")
    part = only_a_part(measurements.plan)
    if part:
        return Verdict(Outcome.SKIPPED, part)
    return Verdict(Outcome.CORROBORATED, f"both products are equal: {finished.reason}")


def _common_source(one: str, other: str) -> str:
    """The file that both routes start from: what both ids have in common, without the last hop."""
    a, b = one.partition("#")[0].split(">"), other.partition("#")[0].split(">")
    shared = [x for x, y in zip(a[:-1], b[:-1], strict=False) if x == y]
    return ">".join(shared)
