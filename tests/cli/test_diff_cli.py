"""`aprtui diff` and `aprtui inspect` as a user runs them: exit codes, the opening sentence, hostile files."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fixture_files import FIXTURES

from aprtui.cli import main

HF = FIXTURES / "qwen2-tiny/hf"
GOOD = {
    "SafeTensors": HF / "model.safetensors",
    "GGUF": FIXTURES / "qwen2-tiny/gguf/bf16.gguf",
    "APR": FIXTURES / "apr/0.72.3/qwen2-tiny/s-import.apr",
}


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return int(stopped.value.code or 0), captured.out, captured.err


def test_the_first_line_is_the_verdict(capsys):
    code, out, _ = run(capsys, "diff", HF, GOOD["GGUF"], "--outtype", "bf16")
    assert code == 0
    first, second, *_ = out.splitlines()
    assert first == "Weights equal after layout, 11 of 26 tensors in another type"
    assert second.startswith("not checked: ") and "behaviour: not planned" in second


def test_failing_levels_lead_the_sentence(capsys):
    code, out, _ = run(capsys, "diff", HF, FIXTURES / "apr/0.72.3/qwen2-tiny/sg.gguf", "--outtype", "lossless")
    assert code == 1
    assert out.startswith("NOT EQUIVALENT (integrity, tokenizer): weights equal after layout")
    assert "lm_head.weight" in out


def test_identical_files_are_called_identical(capsys):
    code, out, _ = run(capsys, "diff", HF, HF)
    assert code == 0
    assert out.startswith("Weights identical, every value of all 26 tensors equal")


def test_json_holds_rule_margin_and_statistics_of_every_tensor(capsys):
    target = FIXTURES / "qwen2-tiny/gguf/Q8_0.gguf"
    code, out, _ = run(capsys, "diff", HF, target, "--outtype", "q8_0", "--format", "json")
    report = json.loads(out)
    assert code == 0
    assert report["outcome"] == "Corroborated"
    assert len(report["tensors"]) == 26
    rules = {tensor["rule"] for tensor in report["tensors"]}
    assert rules == {"certificate", "bit-exact"}
    worst = report["tensors"][0]
    assert worst["statistics"]["certificate"]["blocks"] > 0
    assert worst["statistics"]["sqnr_db"] > 40
    assert {"margin", "margin_unit", "needed", "origin", "layout"} <= worst.keys()


def test_levels_and_tensors_bound_the_work(capsys):
    code, out, _ = run(capsys, "diff", HF, GOOD["GGUF"], "--level", "weights", "--tensor", "*.q_proj.*")
    assert code == 0
    assert "2 of 4 tensors in another type" in out
    assert "metadata: not planned" in out
    assert "tensors outside *.q_proj.*" in out


def test_a_source_without_metadata_and_tokenizer_is_not_a_pass(capsys, tmp_path):
    lone = tmp_path / "lone.safetensors"
    shutil.copy(HF / "model.safetensors", lone)
    code, out, _ = run(capsys, "diff", lone, lone)
    assert code == 5
    assert "the source has none" in out


def test_an_unknown_output_type_is_a_usage_error(capsys):
    code, _, err = run(capsys, "diff", HF, GOOD["GGUF"], "--outtype", "q9_9")
    assert code == 2
    assert "unknown output type 'q9_9'; use one of" in err


DAMAGE = {
    "zero length": lambda data: b"",
    "ten bytes": lambda data: data[:10],
    "half": lambda data: data[: len(data) // 2],
    "absurd sizes": lambda data: data[:8] + b"\xff" * 40 + data[48:],
    "no model": lambda data: b"PK\x03\x04" + bytes(1000),
    "text": lambda data: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
}


@pytest.mark.parametrize("kind", GOOD)
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_one_clear_error_as_a_and_a_finding_as_b(capsys, tmp_path, kind, damage):
    good = GOOD[kind]
    bad = tmp_path / f"bad{good.suffix}"
    bad.write_bytes(DAMAGE[damage](good.read_bytes()))
    code, out, err = run(capsys, "diff", bad, HF)
    if code == 1:
        assert damage == "half", "only a file whose header is whole can still be compared"
        assert "FAIL  integrity" in out
    else:
        assert code == 3
        assert err.count("\n") == 1
        assert str(bad) in err
    code, out, err = run(capsys, "diff", HF, bad)
    assert code == 1
    assert "FAIL  integrity" in out
    assert err == ""


def test_a_missing_file_is_an_environment_error(capsys, tmp_path):
    code, _, err = run(capsys, "diff", tmp_path / "none.gguf", HF)
    assert code == 3
    assert err.startswith("aprtui: ") and "none.gguf" in err


@pytest.mark.parametrize(
    "device", ["mps", "cuda:x", "cuda:", "cuda:-1", "cpu:0", "", "CUDA", "cuda:٣", "cuda:" + "9" * 5000]
)
def test_what_is_no_device_is_refused_before_anything_is_done(capsys, device):
    for command in (("diff", "absent", "absent"), ("run", "absent"), ("golden", "compare", "absent", "absent")):
        code, out, err = run(capsys, *command, "--device", device)
        assert (code, out) == (2, "")
        assert err.startswith("aprtui: unknown device ") and len(err.splitlines()) == 1


def test_a_prompt_that_is_no_text_is_refused(capsys):
    """With it, no tokenizer would take any text, and random ids would stand for all of them."""
    code, _, err = run(capsys, "diff", "absent", "absent", "--prompt", "good", "--prompt", "b\udcff")
    assert (code, err) == (2, "aprtui: --prompt 'b\\udcff' is not UTF-8\n")


def test_a_renamed_file_opens_by_its_content(capsys, tmp_path):
    renamed = tmp_path / "model.apr"
    shutil.copy(GOOD["GGUF"], renamed)
    code, out, _ = run(capsys, "diff", HF, renamed, "--outtype", "bf16")
    assert code == 0
    code, out, _ = run(capsys, "inspect", renamed)
    assert code == 0
    assert "GGUF" in out.splitlines()[1]


def test_inspect_says_what_a_file_holds_and_lacks(capsys):
    code, out, _ = run(capsys, "inspect", FIXTURES / "apr/0.72.3/qwen2-tiny/s-import.apr")
    assert code == 0
    assert "architecture qwen2" in out
    assert "lm_head.weight: a placeholder without bytes" in out
    assert "tokenizer: pre-tokenizer" in out
    code, out, _ = run(capsys, "inspect", GOOD["GGUF"], "--format", "json")
    report = json.loads(out)
    assert report["architecture"] == "qwen2"
    assert len(report["tensors"]) == 26


def test_names_from_files_cannot_reach_the_terminal_raw(capsys, tmp_path):
    evil = tmp_path / "evil.safetensors"
    name = "\x1b]0;owned\x07\u202eweight"
    header = json.dumps({name: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    evil.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    for arguments in (("inspect", evil), ("diff", evil, evil)):
        _, out, err = run(capsys, *arguments)
        assert "\x1b]" not in out + err
        assert "\u202e" not in out + err
        assert r"\x1b]0;owned" in out


def test_the_module_runs_as_a_program():
    command = [sys.executable, "-m", "aprtui", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path.cwd())
    assert done.stdout.startswith("aprtui, version ")
