"""Evidence of others, judged by what it holds: each rule on an entry that deserves it and on one that does not."""

import json
from collections import Counter
from pathlib import Path

import pytest

from aprtui.cli.main import main
from aprtui.core.errors import AprtuiError
from aprtui.report.audit import Standing, audit_evidence
from aprtui.report.audit.transcripts import explained_by_paths, generated_text, is_noise, upstream_difference

EVIDENCE = Path(__file__).parents[1] / "data" / "evidence"
BEFORE, AFTER = EVIDENCE / "qwen2.5-coder-0.5b-mvp.json", EVIDENCE / "qwen2.5-coder-0.5b.json"
PLAYBOOK = Path(__file__).parents[1] / "data" / "playbooks" / "models" / "qwen2.5-coder-0.5b-mvp.playbook.yaml"
HOLDS, CONTRADICTS, EMPTY, OPEN = Standing

CHAT = "=== Model Chat ===\n\n\x1b[1;32mYou: \x1b[0m\x1b[1;34mAssistant:\x1b[0m {}\nGoodbye!"
RUN = "=== APR Run ===\n\nSource: m.apr\n\nOutput:\n{}\n\nCompleted in 1.2s (cached)\n"


def one(tmp_path, gate_id, outcome, *, reason="Test passed", output="", modality="run", prompt="What is 2+2?", **more):
    """The audit of a file with one entry."""
    scenario = {"model": {"org": "Qwen", "name": "Q"}, "modality": modality, "prompt": prompt}
    entry = {"gate_id": gate_id, "outcome": outcome, "reason": reason, "output": output, "scenario": scenario, **more}
    path = tmp_path / "evidence.json"
    path.write_text(json.dumps([entry]), encoding="utf-8")
    return audit_evidence(path).entries[0]


CASES = (
    ("F-GOLDEN-RULE-001", "Corroborated", {"output": "Golden Rule PASS: identical output: "}, EMPTY),
    ("F-GOLDEN-RULE-001", "Corroborated", {"output": "Golden Rule PASS: identical output: 2 + 2 equals 4."}, HOLDS),
    ("F-CONTRACT-I2-001", "Corroborated", {"reason": "all 0 source tensors present in APR", "output": ""}, EMPTY),
    ("F-CONTRACT-I2-001", "Corroborated", {"reason": "all 290 source tensors present", "output": "source=290"}, HOLDS),
    ("F-CONV-Gguf-Apr", "Corroborated", {"output": "Conversion successful, max_diff: 0.00e0"}, EMPTY),
    ("F-CONV-Apr-Gguf", "Corroborated", {"output": "Conversion successful, max_diff: 7.80e-1"}, CONTRADICTS),
    ("F-CONV-S-A", "Falsified", {"reason": "different output (diff: 7.67e-1, ε: 1.00e-6)"}, OPEN),
    ("F-CONV-S-A", "Falsified", {"reason": "different output (diff: 1.00e-9, ε: 1.00e-6)"}, CONTRADICTS),
    ("F-CONV-S-A", "Falsified", {"reason": "Conversion infrastructure error: Conversion failed: no"}, HOLDS),
    ("F-CONV-RT-002", "Falsified", {"reason": "Round-trip conversion produced different output"}, OPEN),
    ("G0-LAYOUT-001", "Corroborated", {"output": "G0 PASS\n  Rules checked: 0\n"}, EMPTY),
    ("G0-LAYOUT-001", "Corroborated", {"output": "G0 PASS\n  Rules checked: 220\n"}, HOLDS),
    ("G0-TENSOR-001", "Corroborated", {"output": "G0 SKIP: Family contract not found"}, EMPTY),
    ("F-CONTRACT-I4-001", "Falsified", {"output": "✓ All tensors within expected statistical bounds"}, CONTRADICTS),
    ("F-CONTRACT-I5-001", "Falsified", {"output": '"total_tokens": 0, "passed": true'}, CONTRADICTS),
    ("F-A3-001", "Corroborated", {"output": CHAT.format("2+2 equals 4."), "modality": "chat"}, HOLDS),
    ("F-A3-001", "Corroborated", {"output": CHAT.format("It is a nice day."), "modality": "chat"}, CONTRADICTS),
    ("F-A3-001", "Corroborated", {"output": CHAT.format("R" * 32), "modality": "chat"}, EMPTY),
    ("F-A1-001", "Corroborated", {"output": "=== Benchmark Results ===\ntok/s 12"}, EMPTY),
    ("F-A1-001", "Corroborated", {"output": RUN.format("4")}, HOLDS),
    ("F-A5-001", "Corroborated", {"output": '{"text":"","tokens_generated":32}', "modality": "serve"}, EMPTY),
    ("F-A5-001", "Corroborated", {"output": '{"text":"four, 4","tokens_generated":3}', "modality": "serve"}, HOLDS),
    ("F-A1-001", "Skipped", {"reason": "no such format"}, HOLDS),
    ("F-NEW-001", "Corroborated", {}, OPEN),
)


@pytest.mark.parametrize(("gate_id", "outcome", "fields", "expected"), CASES)
def test_an_entry_is_worth_what_it_holds(gate_id, outcome, fields, expected, tmp_path):
    found = one(tmp_path, gate_id, outcome, **fields)
    assert found.standing is expected, found.why
    assert found.standing is not OPEN or found.ask


def test_the_same_answer_scores_what_the_seed_case_reported():
    """Two transcripts that differ in path and seconds only: apr-qa's measure calls 0.7 and more a difference."""
    low, high = explained_by_paths("Qwen/Qwen2.5-Coder-0.5B-Instruct", "safetensors", "apr")
    assert low < 0.767 < high
    assert upstream_difference("same", "same") == 0
    assert upstream_difference("abcd", "abxd") == 0.25


def test_only_generated_text_is_judged():
    assert generated_text(RUN.format("4"), "run") == "4"
    assert generated_text("=== Benchmark ===", "run") is None
    assert is_noise("2 + 2 equals 4.") is None
    assert is_noise("\x7f" * 32)


def test_the_stored_evidence_before_the_rule_was_replaced():
    audit = audit_evidence(BEFORE)
    by_gate = {entry.gate_id: entry.standing for entry in audit.entries}
    assert {by_gate[f"F-CONV-{pair}"] for pair in ("S-G", "S-A", "A-S", "A-G")} == {OPEN}
    assert by_gate["F-CONV-RT-001"] is HOLDS
    assert {by_gate[f"F-CONV-RT-00{number}"] for number in (2, 3, 4)} == {OPEN}
    assert by_gate["F-CONTRACT-I2-001"] is EMPTY
    assert audit.ambiguous == {"F-CONV-SafeTensors-Apr": "F-CONV-S-A or F-CONV-RT-BYTE-001"}


def test_the_stored_evidence_after_the_rule_was_replaced():
    """The same differences, now passes."""
    audit = audit_evidence(AFTER)
    passes = [
        entry for entry in audit.entries if entry.gate_id.startswith("F-CONV-") and entry.outcome == "Corroborated"
    ]
    standings = Counter(entry.standing for entry in passes)
    assert standings[CONTRADICTS] >= 4
    assert standings[HOLDS] == 0
    assert any("the rule was replaced" in note for note in audit.notes)


def test_planned_gates_that_the_file_lacks_are_named(capsys):
    with pytest.raises(SystemExit) as left:
        main(["audit", str(BEFORE), "--playbook", str(PLAYBOOK), "--format", "json"])
    assert left.value.code == 1
    (report,) = json.loads(capsys.readouterr().out)
    assert report["missing"] == []
    assert report["empty_passes"] == 20


def test_a_file_without_entries_is_not_sound(tmp_path, capsys):
    path = tmp_path / "evidence.json"
    path.write_text("[]", encoding="utf-8")
    with pytest.raises(SystemExit) as left:
        main(["audit", str(path), "--playbook", str(PLAYBOOK)])
    assert left.value.code == 1
    output = capsys.readouterr().out
    assert "nothing was tested" in output
    assert "planned and missing: F-CONV-S-G" in output


def own(comparison=None, **more):
    """Metadata of a pair that aprtui judged."""
    weights = {"level": "weights", "outcome": "Corroborated", "checked": 26, "findings": []}
    compared = {"outcome": "Corroborated", "levels": [weights], "target_files": {"model.gguf": "xxh3:3"}}
    facts = {"aprtui_version": "0.1.0", "family": "pair", "levels": '["weights"]', "tolerance_settings": "{}"}
    facts |= {"model_files": '{"there/m.safetensors": "xxh3:1"}'}
    facts |= {"comparisons": json.dumps([compared | (comparison or {})])}
    return {"metadata": facts | more}


OURS = (
    ("Corroborated", own(), HOLDS),
    ("Corroborated", own({"levels": [{"level": "weights", "outcome": "Falsified", "checked": 26}]}), CONTRADICTS),
    ("Corroborated", own({"tolerances": [{"failed": 2, "rule": "bit-exact"}]}), CONTRADICTS),
    ("Corroborated", own({"levels": [{"level": "weights", "outcome": "Corroborated", "checked": 0}]}), EMPTY),
    ("Corroborated", own(comparisons="[]"), EMPTY),
    ("Corroborated", own(comparisons="[]", levels="[]"), HOLDS),
    ("Corroborated", own({"target_files": {}}), OPEN),
    ("Falsified", own({"outcome": "Falsified"}), HOLDS),
    ("Falsified", own(), CONTRADICTS),
    ("Skipped", own(comparisons="[]"), HOLDS),
)


def ran(ending="answered", verdict="Corroborated", oracle="garbage", **scenario):
    """Metadata of a gate that an engine decided."""
    answer = {"prompt": "2+2?", "ending": ending, "text": "4", "verdicts": [{"oracle": oracle, "outcome": verdict}]}
    run = {"files": {"m.gguf": "xxh3:3"}, "answers": [answer]} | scenario
    return {"metadata": {"aprtui_version": "0.1.0", "family": "scenario", "scenarios": json.dumps([run])}}


@pytest.mark.parametrize(
    ("gate", "fields", "expected"),
    [
        ("F-A1-001", ran(), HOLDS),
        ("F-A1-001", ran("crashed"), CONTRADICTS),
        ("F-A1-001", ran(verdict="Falsified", oracle="arithmetic"), CONTRADICTS),
        ("F-A1-001", ran(answers=[]), EMPTY),
        ("F-A1-001", ran(files={}), OPEN),
        ("G1-LOAD", ran("failed", has_loaded=True), HOLDS),
        ("G1-LOAD", ran(has_loaded=False), CONTRADICTS),
        ("G2-BASIC", ran(verdict="Falsified"), HOLDS),
        ("G2-BASIC", ran("failed"), CONTRADICTS),
        ("G3-STABLE", ran("failed"), HOLDS),
        ("G3-STABLE", ran("crashed"), CONTRADICTS),
        ("G4-VALID", ran(verdict="Falsified", oracle="arithmetic"), HOLDS),
        ("G4-VALID", ran(verdict="Falsified"), CONTRADICTS),
        ("F-PROFILE-CI-001", ran(answers=[], speed={"tokens_per_second": 3.0}), HOLDS),
    ],
)
def test_a_pass_of_engines_is_held_against_their_answers(gate, fields, expected, tmp_path):
    assert one(tmp_path, gate, "Corroborated", **fields).standing is expected


def failing(*places):
    fact = {"subject": "rope_theta", "message": "no number", "severity": "failure"}
    findings = [fact | {"place": place} for place in places]
    return {"levels": [{"level": "metadata", "outcome": "Falsified", "checked": 3, "findings": findings}]}


@pytest.mark.parametrize(
    ("family", "found", "expected"),
    [
        ("round trip", failing("rope_theta"), CONTRADICTS),
        ("two routes", failing("rope_theta"), CONTRADICTS),
        ("pair", failing("A, rope_theta"), HOLDS),
        ("pair", failing("A, rope_theta", "rope_theta"), HOLDS),
        ("round trip", failing("A, rope_theta"), HOLDS),
        ("content", failing("rope_theta"), HOLDS),
    ],
)
def test_what_only_the_source_shows_contradicts_no_pass(family, found, expected, tmp_path):
    assert one(tmp_path, "F-CONV-RT-001", "Corroborated", **own(found, family=family)).standing is expected


def test_all_planned_gates_are_asked_of_our_own_evidence(tmp_path, capsys):
    one(tmp_path, "F-CONV-S-G", "Corroborated", **own())
    with pytest.raises(SystemExit):
        main(["audit", str(tmp_path / "evidence.json"), "--playbook", str(PLAYBOOK), "--format", "json"])
    (report,) = json.loads(capsys.readouterr().out)
    planned = {"F-CONV-S-A", "F-CONV-RT-001", "F-CONTRACT-I2-001", "G0-VALIDATE-001", "F-CONV-NAME-001"}
    assert planned <= set(report["missing"]) and "F-CONV-S-G" not in report["missing"]


@pytest.mark.parametrize(("outcome", "fields", "expected"), OURS)
def test_our_own_entries_are_judged_by_their_comparisons(outcome, fields, expected, tmp_path):
    found = one(tmp_path, "F-CONV-S-G", outcome, **fields)
    assert found.standing is expected, found.why


def test_digests_are_held_against_the_model_at_hand(tmp_path):
    one(tmp_path, "F-CONV-S-G", "Corroborated", **own(tolerance_settings='{"ulp": 4}'))
    path = tmp_path / "evidence.json"
    assert audit_evidence(path, model_digests={"m.safetensors": "xxh3:1"}).entries[0].standing is HOLDS
    audit = audit_evidence(path, model_digests={"m.safetensors": "xxh3:2"})
    assert audit.entries[0].standing is CONTRADICTS
    assert any("tolerances of their playbook" in note for note in audit.notes)


@pytest.mark.parametrize("content", ["", "{}", '"text"', "[1]", '[{"outcome": "Corroborated"}]', "[" * 100_000])
def test_what_is_no_evidence_is_one_clear_error(content, tmp_path):
    path = tmp_path / "evidence.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(AprtuiError) as error:
        audit_evidence(path)
    assert str(path) in error.value.message


def test_a_missing_file_is_an_environment_error(capsys):
    with pytest.raises(SystemExit) as left:
        main(["audit", "nowhere.json"])
    assert left.value.code == 3
    assert "nowhere.json" in capsys.readouterr().err
