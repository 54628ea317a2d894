"""`aprtui run PLAYBOOK` as a user runs it: exit codes, a line per gate, evidence.json as apr-qa reads it."""

import json
from datetime import datetime
from pathlib import Path

import pytest
from fixture_files import FIXTURES

from aprtui.cli import main
from aprtui.convert import named
from aprtui.convert.builtin import BuiltinConverter

DEMO = Path(__file__).parents[2] / "playbooks/demo.playbook.yaml"
MODEL = FIXTURES / "qwen2-tiny/hf"
KEYS = {
    *("id", "gate_id", "scenario", "outcome", "reason", "output", "stderr", "exit_code", "metrics", "timestamp"),
    *("host", "metadata"),
}
SCENARIO_KEYS = {
    *("id", "model", "modality", "backend", "format", "prompt", "temperature", "max_tokens", "seed", "trace_level"),
    "oracle_type",
}


class Damaging(BuiltinConverter):
    def convert(self, source, target, destination, asked_for):
        product = super().convert(source, target, destination, asked_for)
        if product.suffix == ".gguf":
            raw = bytearray(product.read_bytes())
            raw[-4096] ^= 1
            product.write_bytes(raw)
        return product


class Interrupted(BuiltinConverter):
    def convert(self, source, target, destination, asked_for):
        if target == "APR":
            raise KeyboardInterrupt
        return super().convert(source, target, destination, asked_for)


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return int(stopped.value.code or 0), captured.out, captured.err


def test_the_demo_passes_with_the_built_in_converter(capsys, tmp_path):
    code, out, _ = run(capsys, "run", DEMO, "--converter", "builtin", "--output", tmp_path)
    assert code == 0
    assert out.count("pass  ") == 38 and "demo: exit 0, 38 Corroborated" in out
    evidence = tmp_path / "demo/evidence.json"
    assert f"evidence: {evidence}" in out
    entries = json.loads(evidence.read_text(encoding="utf-8"))
    assert [entry["outcome"] for entry in entries] == ["Corroborated"] * 38
    assert len({entry["id"] for entry in entries}) == 38


def test_entries_have_the_shape_that_apr_qa_reads(capsys, tmp_path):
    run(capsys, "run", DEMO, "--converter", "builtin", "--output", tmp_path / "e.json")
    for entry in json.loads((tmp_path / "e.json").read_text(encoding="utf-8")):
        assert entry.keys() == KEYS
        assert len(entry["id"]) == 32 and int(entry["id"], 16) >= 0
        scenario = entry["scenario"]
        assert scenario.keys() == SCENARIO_KEYS
        assert scenario["model"] == {"org": "aprtui", "name": "qwen2-demo", "variant": None}
        assert scenario["format"] in ("safetensors", "gguf", "apr") and scenario["seed"] == 42
        assert isinstance(scenario["max_tokens"], int) and isinstance(scenario["temperature"], float)
        assert isinstance(entry["metrics"]["duration_ms"], int)
        assert entry["metrics"].keys() == {
            *("tokens_per_second", "time_to_first_token_ms", "total_tokens", "memory_peak_mb", "duration_ms")
        }
        assert all(isinstance(entry["host"][key], str) for key in ("hostname", "os", "cpu", "apr_version"))
        assert entry["timestamp"].endswith("Z") and datetime.fromisoformat(entry["timestamp"])
        assert entry["metadata"] and all(isinstance(value, str) for value in entry["metadata"].values())
        assert isinstance(entry["reason"], str) and isinstance(entry["output"], str)


def test_without_a_converter_nothing_passes(capsys, tmp_path):
    code, out, _ = run(capsys, "run", DEMO, "--output", tmp_path)
    assert code == 5
    assert out.count("pass  F-") == 0 and "--converter names another" in out
    entries = json.loads((tmp_path / "demo/evidence.json").read_text(encoding="utf-8"))
    conversions = [entry for entry in entries if entry["gate_id"].startswith("F-")]
    assert len(conversions) == 26 and {entry["outcome"] for entry in conversions} == {"Skipped"}


def test_a_skip_can_be_accepted_by_name(capsys, tmp_path):
    text = "name: p\nmodel:\n  hf_repo: a/b\n  formats: [gguf, safetensors]\naprtui:\n  allow_skip: [{}]\n"
    path = playbook(tmp_path, text.format("F-CONV-S-G"))
    arguments = ("--model", MODEL, "--output", tmp_path, "--pair", "S-G", "--pair", "g-s")
    assert run(capsys, "run", path, *arguments)[0] == 5
    code, _, err = run(capsys, "run", path, *arguments, "--allow-skip", "F-CONV-G-S")
    assert code == 0 and "skips that are accepted: F-CONV-S-G, F-CONV-G-S" in err
    path.write_text(text.format("F-CONV-S-G, F-CONV-G-S"), encoding="utf-8")
    assert run(capsys, "run", path, *arguments)[0] == 0
    code, _, err = run(capsys, "run", path, *arguments, "--allow-skip", "F-CONV-S-X")
    assert code == 2 and "no gate 'F-CONV-S-X' whose skip could be allowed" in err


def test_a_damaged_product_is_falsified(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(named, "BuiltinConverter", Damaging)
    code, out, _ = run(capsys, "run", DEMO, "--model", MODEL, "--converter", "builtin", "--output", tmp_path)
    assert code == 1
    assert out.count("FAIL  F-CONV-S-G") == 1 and "FAIL  F-CONV-A-G" in out and "NOT EQUIVALENT (weights)" in out


def test_what_was_measured_before_an_interruption_is_kept(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(named, "BuiltinConverter", Interrupted)
    arguments = ("--model", MODEL, "--converter", "builtin", "--output", tmp_path, "--jobs", 1)
    code, _, err = run(capsys, "run", DEMO, *arguments)
    assert code == 130 and "aprtui run --resume " in err
    entries = json.loads((tmp_path / "demo/evidence.json").read_text(encoding="utf-8"))
    assert {entry["gate_id"] for entry in entries} >= {"F-CONV-S-G", "G0-VALIDATE-001"}
    assert not any(entry["gate_id"] in ("F-CONV-S-A", "F-CONV-A-S") for entry in entries)


def playbook(folder: Path, text: str) -> Path:
    path = folder / "p.playbook.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_model_that_is_not_here(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    path = playbook(tmp_path, "name: p\nmodel:\n  hf_repo: org/absent\n")
    code, out, err = run(capsys, "run", path, "--converter", "builtin", "--output", tmp_path)
    assert (code, out) == (3, "")
    assert "`hf download org/absent`" in err
    path.write_text("name: p\nmodel:\n  hf_repo: org/absent\n  local_path: gone\n", encoding="utf-8")
    code, _, err = run(capsys, "run", path, "--converter", "builtin", "--output", tmp_path)
    assert code == 3 and str(tmp_path / "gone") in err and "`hf download org/absent`" in err
    code, _, err = run(capsys, "run", path, "--model", tmp_path / "typo", "--output", tmp_path)
    assert code == 3 and err.strip().endswith("typo: there is no such model")


def test_a_model_in_the_hugging_face_cache_is_found(capsys, tmp_path, monkeypatch):
    snapshot = tmp_path / "models--org--tiny/snapshots/abc"
    snapshot.mkdir(parents=True)
    for file in MODEL.iterdir():
        (snapshot / file.name).symlink_to(file)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    path = playbook(tmp_path, "name: p\nmodel:\n  hf_repo: org/tiny\n  formats: [safetensors, gguf]\n")
    code, out, _ = run(capsys, "run", path, "--converter", "builtin", "--output", tmp_path / "o")
    assert code == 0 and "pass  F-CONV-S-G" in out and "pass  F-CONV-G-S" in out and "F-CONV-S-A" not in out


def test_a_model_that_cannot_be_read(capsys, tmp_path):
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf/model.safetensors").write_bytes(b"<html>" * 9)
    code, out, _ = run(capsys, "run", DEMO, "--model", tmp_path / "hf", "--converter", "builtin", "--output", tmp_path)
    assert code == 3 and "a web page" in out


@pytest.mark.parametrize("text", ["name: p\n", "name: [\n", "name: p\nmodel:\n  hf_repo: a/b\n  formats: [gguff]\n"])
def test_a_bad_playbook(capsys, tmp_path, text):
    code, out, err = run(capsys, "run", playbook(tmp_path, text), "--output", tmp_path)
    assert (code, out) == (2, "") and err.startswith("aprtui: ") and len(err.splitlines()) == 1


def test_a_playbook_without_a_pair_judges_the_model_alone(capsys, tmp_path):
    path = playbook(tmp_path, "name: p\nmodel:\n  hf_repo: a/b\n  formats: [safetensors]\n")
    code, out, _ = run(capsys, "run", path, "--model", MODEL, "--output", tmp_path, "--converter", "builtin")
    assert code == 0 and "pass  G0-VALIDATE-001" in out and "F-CONV" not in out
