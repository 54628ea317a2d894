"""The six pairs: a product compared with its source, and with the run's model where that is another file."""

from __future__ import annotations

from aprtui.core.findings import Finding
from aprtui.core.outcomes import Outcome
from aprtui.gates.verdict import Measured, Measurements, Verdict, absent_levels, finding_text, not_measured, only_a_part


def judge_pair(measurements: Measurements) -> Verdict:
    """Outcome and reason of a pair.

    Its comparisons are the product with its source, then, where the source is not the run's model, the product with
    the model and the source with the model. What fails against the model is this conversion's only if the source does
    not show it already: that is the fault of whatever made the source, and has its own gate. So is a source that is
    damaged in itself.
    """
    main, *with_model = measurements.all
    verdict = not_measured(main)
    if verdict is not None:
        return verdict
    failures, damaged = main.failures, main.of_source
    inherited, own = _against_model(with_model)
    known = list(dict.fromkeys(f"{one.level}: {one.subject}" for one in (*damaged, *inherited)))
    details = {"inherited_from_source": known} if known else {}
    if failures:
        return Verdict(Outcome.FALSIFIED, f"{main.finished.reason}; {finding_text(failures)}", details)
    unknown = _not_measured(with_model)
    if unknown is not None:
        return Verdict(unknown.outcome, unknown.reason, details, unknown.stderr)
    if own:
        return Verdict(Outcome.FALSIFIED, f"equal to its source, not to the model; {finding_text(own)}", details)
    if main.finished.outcome in (Outcome.CRASHED, Outcome.TIMEOUT):
        return Verdict(main.finished.outcome, main.finished.reason, stderr=main.finished.stderr)
    absent = absent_levels(main, measurements.gate.levels)
    if absent:
        return Verdict(Outcome.SKIPPED, f"could not check {', '.join(absent)}", details)
    part = only_a_part(measurements.plan)
    if part:
        return Verdict(Outcome.SKIPPED, part, details)
    reason = main.finished.reason
    if damaged:
        reason = f"the product is as its source, which is damaged: {finding_text(damaged)}"
    note = f"; its source differs from the model already ({_levels(inherited)})" if inherited else ""
    return Verdict(Outcome.CORROBORATED, reason + note, details)


def _not_measured(with_model: list[Measured]) -> Verdict | None:
    """Why it is not known how the product and the model compare; None where it is, or there is nothing to know.

    The source matters only where the product fails against the model: whose fault is it?
    """
    if not with_model:
        return None
    product, source = with_model
    unknown = not_measured(product)
    if unknown is not None:
        reason = f"the product holds against its source; against the model: {unknown.reason}"
        return Verdict(unknown.outcome, reason, stderr=unknown.stderr)
    unknown = not_measured(source) if product.failures else None
    if unknown is None:
        return None
    reason = "the product holds against its source and not against the model; whose fault that is was not measured"
    return Verdict(unknown.outcome, f"{reason}: {unknown.reason}", stderr=unknown.stderr)


def _against_model(with_model: list[Measured]) -> tuple[list[Finding], list[Finding]]:
    """Failures of the product against the model: those that its source shows already, and the others."""
    if not with_model:
        return [], []
    product, source = with_model
    known = {_key(finding) for finding in source.failures}
    failures = product.failures
    return [one for one in failures if _key(one) in known], [one for one in failures if _key(one) not in known]


def _key(finding: Finding) -> tuple[str, str]:
    return finding.level, finding.subject


def _levels(findings: list[Finding]) -> str:
    return ", ".join(dict.fromkeys(finding.level for finding in findings))
