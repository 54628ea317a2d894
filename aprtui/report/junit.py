"""JUnit XML, which CI servers show: a test suite for each playbook, a test case for each gate.

The elements are those that Maven Surefire and pytest write, which CI servers agree on; a test case's properties are
pytest's. Values come from model files and converters; what XML 1.0 cannot hold, control characters above all, is
written as an escape.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

from aprtui.core.errors import AprtuiError
from aprtui.core.outcomes import Outcome
from aprtui.core.safe_text import safe_text
from aprtui.report.evidence import EvidenceEntry

_LONGEST_LINE = 10_000
_ELEMENTS = {
    Outcome.FALSIFIED: "failure",
    Outcome.CRASHED: "error",
    Outcome.TIMEOUT: "error",
    Outcome.SKIPPED: "skipped",
}
_OF_SUITE = ("run", "aprtui_version", "rules_version", "playbook", "model", "converter")
_OF_CASE = ("family", "severity", "levels", "asked_for", "pass_rule", "command")


def write_junit(path: Path, entries: Iterable[EvidenceEntry]) -> None:
    """Write junit.xml whole or not at all.

    Args:
        path: The file; its folder is made.
        entries: In the order in which the gates shall stand; those of one playbook make one suite.

    Raises:
        AprtuiError: It cannot be written, as on a full disk.
    """
    part: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("wb", dir=path.parent, suffix=".part", delete=False) as file:
            part = Path(file.name)
            ElementTree(junit_tree(entries)).write(file, encoding="utf-8", xml_declaration=True)
            file.write(b"\n")
        part.replace(path)
    except OSError as error:
        if part is not None:
            part.unlink(missing_ok=True)
        problem = f"the JUnit report cannot be written: {error.strerror}"
        raise AprtuiError(problem, file=path, todo="name another directory with --output-dir") from None


def junit_tree(entries: Iterable[EvidenceEntry]) -> Element:
    """The report as XML: `testsuites` with a `testsuite` for each playbook."""
    suites: dict[str, list[EvidenceEntry]] = {}
    for entry in entries:
        suites.setdefault(_playbook(entry), []).append(entry)
    every = [entry for suite in suites.values() for entry in suite]
    counts = _counts(every)
    del counts["skipped"]  # the schemas allow it in a suite only
    root = Element("testsuites", {"name": "aprtui", **counts})
    for name, suite in suites.items():
        root.append(_suite(name, suite))
    indent(root)
    return root


def _playbook(entry: EvidenceEntry) -> str:
    """Name of the entry's playbook; of entries that name none the model."""
    facts = entry.details.get("playbook")
    name = facts.get("name") if isinstance(facts, Mapping) else None
    return str(name or entry.scenario.repo or "aprtui")


def _suite(name: str, entries: Sequence[EvidenceEntry]) -> Element:
    first = min(entry.timestamp for entry in entries)
    attributes = {"name": _text(name), "timestamp": f"{first:%Y-%m-%dT%H:%M:%S}", **_counts(entries)}
    suite = Element("testsuite", attributes)
    _add_properties(suite, entries[0].details, _OF_SUITE)
    for entry in entries:
        suite.append(_case(name, entry))
    return suite


def _counts(entries: Sequence[EvidenceEntry]) -> dict[str, str]:
    elements = [_ELEMENTS.get(entry.outcome) for entry in entries]
    return {
        "tests": str(len(entries)),
        "failures": str(elements.count("failure")),
        "errors": str(elements.count("error")),
        "skipped": str(elements.count("skipped")),
        "time": f"{sum(entry.duration_ms for entry in entries) / 1000:.3f}",
    }


def _case(suite: str, entry: EvidenceEntry) -> Element:
    attributes = {"classname": _text(suite), "name": _text(entry.gate_id), "time": f"{entry.duration_ms / 1000:.3f}"}
    case = Element("testcase", attributes)
    _add_properties(case, {**entry.details, "entry_id": entry.entry_id}, (*_OF_CASE, "entry_id"))
    element = _ELEMENTS.get(entry.outcome)
    if element is not None:
        kind = {} if element == "skipped" else {"type": entry.outcome.value}
        result = SubElement(case, element, {"message": _text(entry.reason), **kind})
        command = entry.details.get("command")
        result.text = _text(f"{entry.reason}\nrun it again: {command}" if command else entry.reason)
    for name, output in (("system-out", entry.output), ("system-err", entry.stderr)):
        if output:
            SubElement(case, name).text = _text(output)
    return case


def _add_properties(parent: Element, details: Mapping[str, object], names: Iterable[str]) -> None:
    """Details as properties; a mapping is one property for each of its texts ("model.path")."""
    found = [pair for name in names if name in details for pair in _flat(name, details[name])]
    if found:
        properties = SubElement(parent, "properties")
        for name, value in found:
            SubElement(properties, "property", {"name": _text(name), "value": _text(value)})


def _flat(name: str, value: object) -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        return [(f"{name}.{key}", str(item)) for key, item in value.items() if item is not None]
    if isinstance(value, list | tuple):
        return [(name, ", ".join(map(str, value)))]
    return [] if value is None else [(name, str(value))]


def _text(text: str) -> str:
    """Text whose lines hold visible characters only, all of which XML can hold."""
    return "\n".join(safe_text(line, _LONGEST_LINE) for line in text.split("\n"))
