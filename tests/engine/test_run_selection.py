"""A part of a playbook: gates, pairs, tensors, what failed before; and what evidence keeps of earlier runs."""

import json

import pytest
from engine_runs import aprtui, plan_in, record_of, run_in, write_playbook
from fixture_files import FIXTURES

from aprtui.convert.builtin import BuiltinConverter
from aprtui.core.errors import UsageError
from aprtui.core.outcomes import ExitCode
from aprtui.engine.selection import EVERYTHING, Selection, failed_of, select
from aprtui.formats.container import Format

MODEL = FIXTURES / "qwen2-tiny/hf"


class Damaging(BuiltinConverter):
    """Flips a bit of the last tensor of every APR."""

    def convert(self, source, target, destination, asked_for):
        product = super().convert(source, target, destination, asked_for)
        if target is Format.APR:
            raw = bytearray(product.read_bytes())
            raw[-4096] ^= 1
            product.write_bytes(raw)
        return product


def planned(tmp_path, selection):
    plan = plan_in(tmp_path / "r", write_playbook(tmp_path), MODEL, BuiltinConverter(), selection=selection)
    return [gate.gate_id for gate in plan.gates], [one.conversion_id for one in plan.conversions], plan


def test_a_pair_needs_only_its_own_conversions(tmp_path):
    gates, conversions, plan = planned(tmp_path, select(pairs=["s-g", "A-G"]))
    assert gates == ["F-CONV-S-G", "F-CONV-A-G"]
    assert conversions == ["S>G", "S>A", "S>A>G"]
    assert {one.comparison_id for one in plan.comparisons} == {"S~S>G", "S>A~S>A>G", "S~S>A>G", "S~S>A"}


def test_gates_by_pattern(tmp_path):
    gates, conversions, _ = planned(tmp_path, select(["F-CONV-RT-00[12]", "G0-VALIDATE-001"]))
    assert gates == ["G0-VALIDATE-001", "F-CONV-RT-001", "F-CONV-RT-002"]
    assert set(conversions) == {"S>G", "S>G>A", "S>G>A>S", "S>G>A>S>G", "S>A", "S>A>G", "S>A>G>S"}


def test_the_model_alone_converts_nothing(tmp_path):
    assert planned(tmp_path, select(["G0-VALIDATE-001", "G0-PULL-001"]))[1] == []


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (lambda: select(pairs=["S-X"]), "there is no pair 'S-X'; name one of S-G, S-A"),
        (lambda: select(allow_skip=["S-G"]), "there is no gate 'S-G' whose skip could be allowed"),
    ],
)
def test_what_does_not_exist_is_refused(selection, message):
    with pytest.raises(UsageError, match=message):
        selection()


def test_a_gate_that_this_run_does_not_have_is_refused(tmp_path):
    with pytest.raises(UsageError, match="this run does not have the gate F-CONV-DEQUANT-001: no source"):
        planned(tmp_path, select(["F-CONV-DEQUANT-001"]))
    with pytest.raises(UsageError, match="there is not a gate 'nonsense\\*'"):
        planned(tmp_path, select(["nonsense*"]))


def test_tensors_leave_a_gate_skipped(tmp_path):
    selection = select(["F-CONV-S-G"], tensors=["*.q_proj.*"])
    code, told = run_in(tmp_path / "r", write_playbook(tmp_path), MODEL, BuiltinConverter(), selection=selection)
    assert code is ExitCode.SKIPPED
    assert told.entries["F-CONV-S-G"].reason == "only tensors that match *.q_proj.* were compared"
    assert record_of(tmp_path / "r").comparisons["S~S>G"].compared == 4


def test_a_selection_survives_the_plan():
    selection = Selection(("F-*", "G0-*"), ("*.mlp.*",), ("F-CONV-S-G",))
    assert Selection.from_arguments(selection.arguments) == selection
    assert Selection.from_arguments(()) == EVERYTHING


def test_what_failed_and_what_shares_its_conversions(tmp_path):
    playbook = write_playbook(tmp_path)
    run_in(tmp_path / "r", playbook, MODEL, Damaging())
    record = record_of(tmp_path / "r")
    plan = plan_in(tmp_path / "r", playbook, MODEL, BuiltinConverter())
    again = failed_of(plan, record)
    failed = {gate for gate, found in record.verdicts().items() if found.outcome.value == "Falsified"}
    assert failed >= {"F-CONV-S-A", "F-CONV-G-A", "F-CONV-RT-001"} and failed <= set(again)
    # A-S is judged against the damaged import, too.
    assert "F-CONV-A-S" in again and "G0-FORMAT-APR-001" in again
    assert not {"F-CONV-S-G", "F-CONV-G-S", "G0-VALIDATE-001", "G0-FORMAT-GGUF-001"} & set(again)


def entries(path):
    return {entry["gate_id"]: entry for entry in json.loads(path.read_text())}


def test_earlier_entries_stand_only_while_everything_is_the_same(tmp_path):
    playbook, evidence = write_playbook(tmp_path), tmp_path / "evidence.json"
    run_in(tmp_path / "one", playbook, MODEL, BuiltinConverter())
    before = entries(evidence)
    run_in(tmp_path / "two", playbook, MODEL, BuiltinConverter(), selection=select(pairs=["S-G"]))
    after = entries(evidence)
    assert after.keys() == before.keys()
    assert "carried_from" not in after["F-CONV-S-G"]["metadata"]
    assert after["F-CONV-S-G"]["metadata"]["run"] == "two"
    assert after["F-CONV-S-A"]["metadata"]["carried_from"] == "one"
    assert after["F-CONV-S-A"]["id"] == before["F-CONV-S-A"]["id"]
    assert list(entries(tmp_path / "two/evidence.json")) == ["F-CONV-S-G"]
    # A third run with another converter: what it does not run is stale, and not green.
    run_in(tmp_path / "three", playbook, MODEL, Loud(), selection=select(pairs=["S-G"]))
    stale = entries(evidence)
    assert stale["F-CONV-S-G"]["outcome"] == "Corroborated"
    others = [entry for gate, entry in stale.items() if gate != "F-CONV-S-G"]
    assert {entry["outcome"] for entry in others} == {"Skipped"}
    assert stale["F-CONV-S-A"]["reason"] == ("stale: the converter changed since run one, which found it Corroborated")


class Loud(BuiltinConverter):
    """Another converter by its digest."""

    @property
    def identity(self):
        from dataclasses import replace

        return replace(super().identity, digest="xxh3:00")


def test_failed_of_from_the_command_line(tmp_path):
    playbook = write_playbook(tmp_path, "aprtui:\n  outtype: {F-CONV-S-A: f16}\n  tolerance: {ulp: 0.01}\n")
    arguments = ("--model", MODEL, "--converter", "builtin", "--output-dir", tmp_path / "o")
    gates = ("--gate", "F-CONV-S-?", "--gate", "F-CONV-WEIGHT-001", "--gate", "F-CONV-IDEM-001")
    code, out, _ = aprtui("run", playbook.path, *arguments, *gates)
    assert code == 1 and "FAIL  F-CONV-S-A" in out
    assert f"again: aprtui run {playbook.path} --model {MODEL} --converter builtin --gate F-CONV-S-A" in out
    (run,) = (tmp_path / "o/test/runs").iterdir()
    code, out, _ = aprtui("run", "--failed-of", run, "--output-dir", tmp_path / "o")
    assert code == 1 and "F-CONV-S-A" in out and "F-CONV-S-G" not in out
    assert "F-CONV-WEIGHT-001" in out and "F-CONV-IDEM-001" not in out
    write_playbook(tmp_path)
    code, _, err = aprtui("run", playbook.path, *arguments, *gates)
    assert code == 0
    latest = max((tmp_path / "o/test/runs").iterdir())
    code, _, err = aprtui("run", "--failed-of", latest)
    assert code == 2 and "no gate of run" in err


def test_several_playbooks_and_patterns_have_one_summary(tmp_path):
    for name in ("a", "b"):
        write_playbook(tmp_path, name=name)
    (tmp_path / "c.playbook.yaml").write_text("name: c\nmodel:\n  hf_repo: org/absent\n  local_path: gone\n")
    arguments = ("--converter", "builtin", "--output-dir", tmp_path / "o", "--gate", "G0-*", "--gate", "F-CONV-S-G")
    code, out, _ = aprtui("run", f"{tmp_path}/[ab].playbook.yaml", *arguments, "--model", MODEL)
    assert code == 0 and out.splitlines()[-2:] == ["a: exit 0, 13 Corroborated", "b: exit 0, 13 Corroborated"]
    code, out, err = aprtui("run", tmp_path / "a.playbook.yaml", tmp_path / "c.playbook.yaml", *arguments)
    assert code == 3 and "c: exit 3, model org/absent is not on this machine" in out
    code, _, err = aprtui("run", f"{tmp_path}/[ab].playbook.yaml", "--output", tmp_path / "e.json")
    assert code == 2 and "several playbooks cannot share one evidence file" in err
    code, _, err = aprtui("run", f"{tmp_path}/x*.yaml")
    assert code == 2 and "no file fits" in err
