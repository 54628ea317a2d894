"""Evidence without its run folder: what it holds is there, what it does not hold is named, nothing is made up."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from run_folders import NAMES, tensor, whole_run, write_run

from aprtui.core.events import AUDIT
from aprtui.core.outcomes import Outcome
from aprtui.engine.entry import evidence_entries
from aprtui.engine.evidence_run import open_evidence
from aprtui.report.evidence import write_evidence
from aprtui.store.bundle import BundleFacts
from aprtui.store.row_status import RowStatus
from aprtui.store.run_folder import RunState
from aprtui.store.run_view import RunView
from aprtui.store.summary import read_record

FOREIGN = Path(__file__).parents[1] / "data" / "evidence" / "qwen2.5-coder-0.5b-mvp.json"


def own_evidence(tmp_path, names=NAMES):
    folder = write_run(tmp_path, whole_run(names), entered=False)
    path = tmp_path / "evidence.json"
    write_evidence(path, evidence_entries(folder.plan(), read_record(folder.reader().new_lines())))
    return folder, path


def view_of(path):
    view = RunView(open_evidence(path))
    view.read(5.0)
    return view


def rows_of(view):
    rows = (view.columns.row(number) for number in range(len(view.columns)))
    return {(row.name, row.status, row.text) for row in rows if row.status is not RowStatus.HIDDEN}


def test_the_run_of_our_own_evidence_is_the_run(tmp_path):
    folder, path = own_evidence(tmp_path)
    run = RunView(folder)
    run.read(5.0)
    view = view_of(path)
    assert rows_of(view) == rows_of(run) | {("G0-PULL-001", RowStatus.PASSED, view.gates["G0-PULL-001"].reason)}
    assert {gate: found.outcome for gate, found in view.gates.items()} == {
        gate: found.outcome for gate, found in run.gates.items()
    }
    number = view.columns.tensor(0, NAMES[2])
    assert view.tensor(number) == run.tensor(run.columns.tensor(0, NAMES[2])) == tensor(NAMES[2], violations=120)
    assert (view.state(), view.passed_over, view.is_evidence) == (RunState.FINISHED, 0, True)
    assert (view.plan.run_id, view.plan.playbook.name) == (run.plan.run_id, "demo")


def test_tensors_beyond_the_worst_ten_are_findings(tmp_path):
    names = tuple(f"layer.{number}" for number in range(36))
    _, path = own_evidence(tmp_path, names)
    entries = json.loads(path.read_text())
    comparison = json.loads(entries[1]["metadata"]["comparisons"])
    finding = {"level": "weights", "subject": "layer.33", "message": "outside", "severity": "failure"}
    comparison[0]["levels"][2]["findings"] = [
        finding | {"kind": "tolerance"},
        finding | {"kind": "tolerance", "subject": comparison[0]["worst_tensors"][0]["name"]},
    ]
    entries[1]["metadata"]["comparisons"] = json.dumps(comparison)
    path.write_text(json.dumps(entries))
    rows = rows_of(view_of(path))
    assert ("layer.33", RowStatus.FAILED, "outside") in rows
    assert sum(row[0] == comparison[0]["worst_tensors"][0]["name"] for row in rows) == 1


def test_evidence_of_apr_qa_has_gates_reasons_and_what_the_audit_says(tmp_path):
    view = view_of(FOREIGN)
    entries = json.loads(FOREIGN.read_text())
    assert len(view.gates) == len(entries) == len(view.columns)
    failed = [gate for gate, found in view.gates.items() if found.outcome is Outcome.FALSIFIED]
    assert failed[:2] == ["F-CONV-G-A", "F-CONV-A-G"]
    assert "F-A1-001#3" in view.gates
    audited = {gate for gate, found in view.gates.items() if AUDIT in found.details}
    passed = next(gate for gate in view.gates if gate in audited and gate not in failed)
    text = next(row[2] for row in rows_of(view) if row[0] == passed)
    assert text.startswith(("without substance: ", "cannot be known: ", "contradicts itself: "))
    assert asdict(BundleFacts.of(view.folder))["left_out"] == ("tensors", "tolerances", "digests of files")
    assert {gate.gate.family for gate in view.plan.gates}


@pytest.mark.parametrize(
    "metadata",
    [
        {"comparisons": "[[[["},
        {"comparisons": '[{"comparison": 3}, 4]'},
        {"comparisons": '[{"comparison": "S~S>G", "worst_tensors": [{}, 3], "levels": [{"findings": [1]}, 2]}]'},
        {"comparisons": '[{"comparison": "S~S>G", "diagnosis": {"causes": 7}, "outcome": "Splendid"}]'},
        {"run": "../../../etc", "playbook": "3", "model": "[]", "converter": "{}"},
        {"run": 3, "comparisons": None},
    ],
)
def test_damaged_evidence_leaves_out_what_cannot_be_understood(tmp_path, metadata):
    path = tmp_path / "e.json"
    path.write_text(json.dumps([{"gate_id": "F-CONV-S-G", "outcome": "Splendid", "metadata": metadata}]))
    view = view_of(path)
    assert view.folder.path.parent.name.startswith("aprtui-unpacked-")
    assert view.gates["F-CONV-S-G"].outcome is Outcome.SKIPPED
    assert "its outcome is Splendid, which is none" in view.gates["F-CONV-S-G"].reason
    assert view.passed_over == 0
