"""Scenarios in runs: which are planned and why others are not, their order, limits, and what stands on resuming."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from engine_runs import aprtui, plan_in, record_of, run_in
from faulty_converter import Faulty
from fixture_files import DATA, FIXTURES

import aprtui as package
from aprtui.core.errors import UsageError
from aprtui.core.events import ScenarioFinished
from aprtui.core.outcomes import ExitCode, Level, Outcome
from aprtui.core.scenarios import Backend, EngineFacts, EngineName, Speed
from aprtui.engine.schedule import MODEL, Schedule
from aprtui.engine.selection import Selection, failed_of
from aprtui.engine.standing import what_stands
from aprtui.playbook import load_playbook
from aprtui.store.plan import Limits
from aprtui.store.summary import RunRecord

DEMO = Path(package.__file__).parent / "demo/model/qwen2-demo"
ALL = Selection(levels=tuple(Level), engines=(EngineName.REFERENCE, EngineName.LLAMA_CPP, EngineName.APR))
ONLY_APR = Selection(("F-A1-001", "G?-*"), levels=(Level.BEHAVIOUR,), engines=(EngineName.APR,))
MATRIX = {"modalities": ["run", "chat", "serve"], "backends": ["cpu"], "prompts": ["What is 2+2?", "2*3="]}
PROFILE = {"warmup": 1, "measure": 2, "backends": ["cpu"], "assertions": {"min_throughput": 1}}


def playbook(folder, formats=("safetensors",), **keys):
    path = folder / "test.playbook.yaml"
    model = {"hf_repo": "org/demo", "formats": list(formats)}
    path.write_text(json.dumps({"name": "test", "model": model, **keys}), encoding="utf-8")
    return load_playbook(path)


def planned(folder, formats=("safetensors",), selection=ALL, **keys):
    plan = plan_in(folder / "run", playbook(folder, formats, **keys), DEMO, Faulty({}), selection=selection)
    return plan, {one.gate_id: one.reason for one in plan.not_planned}


def stand_in(folder, body):
    program = folder / "apr"
    begin = 'import os, sys, time\nif "--version" in sys.argv:\n    sys.exit(print("apr 1"))\n'
    program.write_text(f"#!{sys.executable}\n{begin}{body}\n", encoding="utf-8")
    program.chmod(0o755)
    return str(program)


def test_each_file_runs_in_every_engine_that_opens_it(tmp_path):
    plan, reasons = planned(
        tmp_path, ("safetensors", "gguf", "apr"), test_matrix={**MATRIX, "backends": ["cpu", "gpu"]}
    )
    assert [one.scenario_id for one in plan.scenarios if one.backend is Backend.CPU] == [
        *("S@reference:cpu", "S@apr:cpu", "S>G@reference:cpu", "S>G@llama.cpp:cpu", "S>G@apr:cpu"),
        *("S>A@reference:cpu", "S>A@apr:cpu"),
        *("S@reference:cpu:chat", "S>G@reference:cpu:chat", "S>G@llama.cpp:cpu:chat", "S>A@reference:cpu:chat"),
    ]
    by_id = {gate.gate_id: gate.scenarios for gate in plan.gates}
    assert len(by_id["G1-LOAD"]) == 14 == 2 * len(by_id["F-A1-001"]) == 2 * len(by_id["F-A2-001"])
    assert plan.running.prompts == ("What is 2+2?", "2*3=")
    assert by_id["F-A3-001"] == tuple(one.scenario_id for one in plan.scenarios if one.step.endswith(":cpu:chat"))
    assert reasons["F-A5-001"].startswith("serve on the CPU: ") and reasons["F-A6-001"].startswith("serve on a GPU: ")


@pytest.mark.parametrize(
    ("keys", "selection", "gate", "reason"),
    [
        ({}, ALL, "F-A1-001", "the playbook has no test_matrix"),
        ({"test_matrix": {"modalities": ["chat"]}}, ALL, "F-A1-001", "run is not among the playbook's modalities"),
        ({"test_matrix": {"modalities": ["serve"]}}, ALL, "G1-LOAD", "run is not among the playbook's modalities"),
        ({"test_matrix": MATRIX}, ALL, "F-A2-001", "gpu is not among the playbook's backends"),
        ({"test_matrix": MATRIX}, replace(ALL, backends=(Backend.GPU,)), "F-A1-001", "only gpu was asked for"),
        ({"test_matrix": MATRIX}, replace(ALL, levels=()), "F-A1-001", "it runs models; ask for it with --level all"),
        (
            {"test_matrix": MATRIX, "gates": {"g3_no_crashes": "false"}},
            *(ALL, "G3-STABLE", "the playbook leaves it out (gates.g3_no_crashes)"),
        ),
        (
            {"test_matrix": MATRIX},
            replace(ALL, engines=(EngineName.LLAMA_CPP,)),
            *("F-A1-001", "none of the engines asked for (llama.cpp) runs SafeTensors"),
        ),
        (
            {"test_matrix": MATRIX},
            replace(ALL, engines=(EngineName.APR,)),
            *("F-A3-001", "none of the engines asked for (apr) runs SafeTensors in its chat template"),
        ),
        ({"test_matrix": MATRIX}, ALL, "F-PROFILE-CI-001", "the playbook has no profile_ci"),
        ({"profile_ci": {"enabled": "no"}}, ALL, "F-PROFILE-CI-001", "profile_ci.enabled is false"),
        (
            {"profile_ci": PROFILE},
            *(ALL, "F-PROFILE-CI-002", "the playbook names no threshold (profile_ci.assertions.max_p99_ms)"),
        ),
    ],
)
def test_what_is_not_planned_has_a_reason(tmp_path, keys, selection, gate, reason):
    _, reasons = planned(tmp_path, selection=selection, **keys)
    assert reasons[gate].startswith(reason)
    with pytest.raises(UsageError, match="this run does not have the gate"):
        planned(tmp_path, selection=replace(selection, gates=(gate,)), **keys)


def test_engines_that_are_not_here_are_named_and_not_planned(tmp_path):
    narrow = Selection(("F-A1-001",), levels=(Level.BEHAVIOUR,))
    here = playbook(tmp_path, ("safetensors", "gguf"), test_matrix=MATRIX)
    plan = plan_in(tmp_path / "run", here, DEMO, Faulty({}), selection=narrow, apr=str(tmp_path / "none"))
    assert EngineName.APR not in {one.engine for one in plan.scenarios}
    assert plan.engines_left_out == (f"apr: the command '{tmp_path / 'none'}' is not installed",)


def test_a_file_runs_behind_its_comparison_and_time_is_measured_last_and_alone(tmp_path):
    plan, _ = planned(
        tmp_path, ("safetensors", "gguf", "apr"), test_matrix={**MATRIX, "backends": ["cpu"]}, profile_ci=PROFILE
    )
    steps = [one.step for one in plan.steps]
    assert steps[:3] == ["S@reference:cpu", "S@apr:cpu", "S@reference:cpu:chat"]
    assert steps.index("S>G@llama.cpp:cpu") < steps.index("S>G~S>G>S")
    timed = [one for one in steps if one.endswith(":speed")]
    assert steps[-len(timed) :] == timed and len(timed) == 7
    schedule = Schedule(plan)
    assert schedule.ready() == MODEL
    schedule.model_read([one for one in steps if one not in {"S@apr:cpu", *timed[:2]}])
    assert schedule.ready() == "S@apr:cpu"
    assert schedule.ready() is None
    schedule.done("S@apr:cpu")
    assert schedule.ready() == timed[0]
    assert schedule.ready() is None
    schedule.done(timed[0])
    assert schedule.ready() == timed[1]


def test_limits_of_prompts_and_of_steps(tmp_path):
    slow = stand_in(tmp_path, "time.sleep(60)")
    quick = playbook(tmp_path, test_matrix={**MATRIX, "timeout_ms": 500})
    code, told = run_in(tmp_path / "a", quick, DEMO, None, selection=ONLY_APR, apr=slow)
    assert code is ExitCode.TIMEOUT
    assert told.entries["F-A1-001"].outcome is Outcome.TIMEOUT
    assert "S in apr on cpu: it did not end in" in told.entries["F-A1-001"].reason
    patient = playbook(tmp_path, test_matrix=MATRIX)
    code, told = run_in(
        tmp_path / "b", patient, DEMO, None, selection=ONLY_APR, apr=slow, limits=Limits(gate_seconds=1.0)
    )
    assert code is ExitCode.TIMEOUT
    assert told.entries["G3-STABLE"].reason == "S in apr on cpu: it took longer than 1 s"


def test_answers_stand_when_a_run_goes_on_and_others_are_asked_again(tmp_path):
    program = stand_in(tmp_path, "print('\\nOutput:\\n4\\n\\nCompleted in 0.1s (cached)')")
    asked = playbook(tmp_path, test_matrix={**MATRIX, "prompts": ["What is 2+2?"]})
    code, told = run_in(tmp_path / "run", asked, DEMO, None, selection=ONLY_APR, apr=program)
    assert code is ExitCode.PASSED
    assert told.begun == ["S@apr:cpu"]
    entry = told.entries["F-A1-001"].to_json()["metadata"]
    (ran,) = json.loads(entry["scenarios"])
    assert (ran["engine"]["version"], ran["answers"][0]["text"]) == ("apr 1", "4")
    assert "--no-gpu --json" in ran["answers"][0]["command"] and ran["engine"]["digest"].startswith("xxh3:")
    assert "model.safetensors" in {Path(name).name for name in ran["files"]}
    assert "the engine does not say how many tokens it saw" in entry["prompt_tokens"]
    assert "--gate F-A1-001 --level behaviour --engine apr" in entry["command"]
    _, again = run_in(tmp_path / "run", asked, DEMO, None, selection=ONLY_APR, apr=program)
    assert (again.begun, again.entries.keys()) == ([], told.entries.keys())
    stand_in(tmp_path, "sys.exit(3)  # another program under the same name")
    code, anew = run_in(tmp_path / "run", asked, DEMO, None, selection=ONLY_APR, apr=program)
    assert (code, anew.begun) == (ExitCode.FALSIFIED, ["S@apr:cpu"])


@pytest.mark.parametrize("speed", [None, Speed(2, 10, 5.0, None, None, 0.1, 2)])
def test_a_time_that_was_not_measured_is_taken_again(tmp_path, monkeypatch, speed):
    monkeypatch.setattr("aprtui.engine.standing.program_digest", lambda _: "d")
    plan, _ = planned(tmp_path, test_matrix=MATRIX, profile_ci=PROFILE)
    timed = next(one.scenario_id for one in plan.scenarios if one.measure)
    finished = ScenarioFinished(timed, engine=EngineFacts("apr", "1", "apr", "d"), speed=speed)
    found = what_stands(plan, plan, RunRecord(scenarios={timed: finished}))
    assert found.scenarios == (() if speed is None else (timed,))


def test_gates_of_the_same_product_run_again_with_a_failed_scenario(tmp_path):
    plan, _ = planned(tmp_path, ("safetensors", "gguf"), test_matrix=MATRIX)
    record = RunRecord(scenarios={one.scenario_id: ScenarioFinished(one.scenario_id) for one in plan.scenarios})
    (code, told) = run_in(
        tmp_path / "one",
        playbook(tmp_path, test_matrix=MATRIX),
        DEMO,
        None,
        selection=ONLY_APR,
        apr=stand_in(tmp_path, "os.abort()"),
    )
    assert code is ExitCode.FALSIFIED
    record.gates = record_of(tmp_path / "one").gates
    again = failed_of(plan, record)
    assert {"F-A1-001", "G1-LOAD", "F-CONV-S-G"} <= set(again)
    assert told.entries["G3-STABLE"].outcome is Outcome.FALSIFIED


def test_other_prompt_tokens_of_apr_are_named(tmp_path):
    """What apr 0.72.3 printed: it saw 10, 11 and 32 tokens of one prompt in APR, GGUF and SafeTensors."""
    runs = json.loads((DATA / "apr_transcripts/run.json").read_text(encoding="utf-8"))
    printed = {
        Path(run["command"][2]).suffix: run["stdout"]
        for run in runs
        if (run["version"], run["model"]) == ("0.72.3", "llama-tiny256") and run["stdout"].startswith("{")
    }
    program = stand_in(tmp_path, f"sys.stdout.write({printed!r}[os.path.splitext(sys.argv[2])[1] or '.safetensors'])")
    asked = playbook(tmp_path, ("safetensors", "gguf", "apr"), test_matrix={**MATRIX, "prompts": ["def add(a, b):"]})
    model = FIXTURES / "llama-tiny256/hf"
    _, told = run_in(tmp_path / "run", asked, model, Faulty({}), selection=ONLY_APR, apr=program)
    entry = told.entries["G1-LOAD"].to_json()
    named = json.loads(entry["metadata"]["prompt_tokens"])
    assert [text.partition(" in apr")[0] for text in named] == ["S", "S>A"]
    assert "it saw 32 tokens where 11 belong: it wrapped the prompt" in named[0]
    assert "it saw 10 tokens where 11 belong: the token in front of a text is missing" in named[1]
    assert (entry["outcome"], entry["reason"]) == (
        "Corroborated",
        "every file is loaded: 1 prompt, S in apr, S>G in apr, S>A in apr; 2 prompts were seen as other tokens",
    )


@pytest.mark.slow
def test_the_whole_way_by_the_command_line(tmp_path):
    asked = playbook(tmp_path, ("safetensors", "gguf", "apr"), test_matrix=MATRIX | {"prompts": []}, profile_ci=PROFILE)
    arguments = [
        "run",
        asked.path,
        "--model",
        DEMO,
        "--converter",
        "builtin",
        "--level",
        "all",
        "--output-dir",
        tmp_path,
    ]
    narrowed = [*arguments, "--gate", "F-A?-001", "--gate", "G?-*", "--gate", "F-PROFILE-*"]
    code, out, err = aprtui(*narrowed, "--dry-run")
    assert code == 0, err
    assert "files to run, on 3 prompts of at most 32 tokens each" in out
    assert "S>G      llama.cpp on cpu\n" in out and "F-A5-001                 serve on the CPU: " in out
    code, out, err = aprtui(*narrowed, timeout=300)
    assert code == 5, out + err
    for gate in ("G1-LOAD", "G2-BASIC", "G3-STABLE", "G4-VALID", "F-A1-001", "F-A3-001"):
        assert f"pass  {gate}" in out
    assert "skip  F-PROFILE-CI-001" in out and "no other engine runs it, and the reference computes in float32" in out
    code, out, _ = aprtui("audit", tmp_path / "test/evidence.json")
    assert (code, "contradicts itself, 0 without substance" in out) == (0, True)
