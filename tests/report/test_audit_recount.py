"""The figures of docs/audit.md over the certifications of apr-qa, counted again without the audit's own rules."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from fixture_files import unpack

from aprtui.cli.main import main
from aprtui.core.causes import CAUSES
from aprtui.report.audit import Standing, audit_evidence

ROOT = Path(__file__).parents[2]
CERTIFICATIONS = unpack("certifications.tar.xz")
DOC = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")
ANSWERS = {"What is 2+2?": "4", "Given x=5 and y=3, what is x*y? Then what is the result plus 10?": "25"}


def entries():
    return [entry for path in CERTIFICATIONS.rglob("evidence.json") for entry in json.loads(path.read_text("utf-8"))]


def family(gate):
    return "F-A1 … F-A6" if re.match(r"F-A\d", gate) else "F-CONV-*" if gate.startswith("F-CONV-") else gate


def text_of(entry):
    """What the model said, cut out of a transcript by its first and last words; None where there is none."""
    output = re.sub(r"\x1b\[[0-9;]*m", "", entry["output"])
    if output.startswith("{"):
        return json.loads(output)["text"]
    return re.split("You:|Goodbye", output.split("Assistant:")[1])[0] if "Model Chat" in output else None


def has_substance(entry):
    """Whether a pass compared something, and whether what it holds is right."""
    output, reason = entry["output"] or "", entry["reason"]
    kind = family(entry["gate_id"])
    if kind == "F-A1 … F-A6":
        text = (text_of(entry) or "").strip()
        # A short answer may well be one character: the right one is.
        repeats = len(text) > 8 and (len(set(text)) < 3 or max(Counter(text).values()) > 0.7 * len(text))
        if not text or repeats or re.search(r"[\x00-\x08\x7f\ufffd]", text):
            return None
        return ANSWERS[entry["scenario"]["prompt"]] in re.findall(r"\d+", text)
    if kind == "F-CONV-*":
        measured = re.search(r"max_diff: (\S+)", output)
        return False if measured and float(measured[1]) > 1e-6 else None
    if kind == "F-GOLDEN-RULE-001":
        return True if output.rpartition("identical output:")[2].strip() else None
    if kind == "F-CONTRACT-I2-001":
        return None if "all 0 source" in reason + output else True
    if kind == "G0-LAYOUT-001":
        return None if re.search(r"Rules checked: 0\b", output) else True
    return None if "SKIP" in output else True


def test_the_table_of_passes_is_what_the_files_hold():
    counts = Counter()
    for entry in entries():
        if entry["outcome"] == "Corroborated":
            counts[family(entry["gate_id"]), has_substance(entry)] += 1
    rows = re.findall(r"^\| ([FG][^|]+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", DOC, re.MULTILINE)
    assert len(rows) == 6
    for kind, passes, empty, contradict, hold in rows:
        found = tuple(counts[kind.strip(), value] for value in (None, False, True))
        assert (sum(found), *found) == tuple(map(int, (passes, empty, contradict, hold))), kind


def test_the_command_prints_what_the_page_says(capsys):
    with pytest.raises(SystemExit) as left:
        main(["audit", str(CERTIFICATIONS)])
    assert left.value.code == 1
    summary = capsys.readouterr().out.strip().splitlines()[-2:]
    assert all(line in DOC for line in summary)


@pytest.mark.parametrize("folder", ["qwen2.5-coder-0.5b-mvp", "qwen2-5-coder-1-5b-instruct"])
def test_what_the_seed_case_does_not_list(folder):
    """docs/audit.md, of the 0.5B and of the 1.5B: failed conversions hold, compared outputs cannot be known."""
    found = {entry.gate_id: entry for entry in audit_evidence(CERTIFICATIONS / folder / "evidence.json").entries}
    failed = ("F-CONV-G-S", "F-CONV-G-A", "F-CONV-RT-001", "F-CONV-IDEM-001", "F-CONV-COM-001")
    for gate in failed:
        assert (found[gate].outcome, found[gate].standing) == ("Falsified", Standing.HOLDS), gate
        assert "failed" in found[gate].why
    pairs, trips = ("S-G", "S-A", "A-S", "A-G"), ("RT-002", "RT-003", "RT-004")
    for gate in (f"F-CONV-{name}" for name in (*pairs, *trips)):
        assert (found[gate].outcome, found[gate].standing) == ("Falsified", Standing.CANNOT_BE_KNOWN), gate
        assert found[gate].cause == "measurement.whole_output"


def test_every_cause_of_measuring_is_named_of_some_entry():
    audits = [audit_evidence(path) for path in CERTIFICATIONS.rglob("evidence.json")]
    named = {entry.cause for audit in audits for entry in audit.entries}
    named |= {code for code in CAUSES if any(f"({code})" in note for audit in audits for note in audit.notes)}
    assert {code for code in CAUSES if code.startswith("measurement.")} <= named
