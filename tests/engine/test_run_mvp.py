"""The playbooks of Qwen2.5-Coder as they are typed, on models of random weights with the real geometry (on demand)."""

import json
from pathlib import Path

import pytest
from engine_runs import ROOT, aprtui
from make_synthetic_model import GEOMETRIES, make

PLAYBOOKS = ROOT / "playbooks/models"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=GEOMETRIES)
def model(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mvp") / request.param
    make(folder, GEOMETRIES[request.param], seed=0)
    return request.param, folder


def run(model, tmp_path, *arguments):
    size, folder = model
    evidence = tmp_path / f"output/mvp-{size}/evidence.json"
    playbook = PLAYBOOKS / f"qwen2.5-coder-{size}-mvp.playbook.yaml"
    code, out, err = aprtui("run", playbook, "--output", evidence, "--model", folder, *arguments, timeout=1800)
    return code, out, err, json.loads(Path(evidence).read_text())


def test_every_planned_level_is_corroborated(model, tmp_path):
    code, out, _, entries = run(model, tmp_path, "--converter", "builtin")
    assert code == 0, out
    assert len(entries) == 36 and {entry["outcome"] for entry in entries} == {"Corroborated"}


def test_without_apr_conversions_are_skipped(model, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    code, _, err, entries = run(model, tmp_path)
    assert code == 5 and "apr is not on PATH" in err
    outcomes = {entry["gate_id"]: (entry["outcome"], entry["reason"]) for entry in entries}
    conversions = {gate: found for gate, found in outcomes.items() if gate.startswith("F-")}
    assert {outcome for outcome, _ in conversions.values()} == {"Skipped"}
    assert all("no converter" in reason for _, reason in conversions.values())
    assert outcomes["G0-LAYOUT-001"][0] == "Corroborated"
