"""Files written to hurt: whatever stands in them, a command ends with a documented exit code and one clear line."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fixture_files import FIXTURES
from gguf_bytes import gguf_file, key, string, tensor

from aprtui.cli import main

LLAMA = FIXTURES / "llama-tiny256"
HEADERS_ONLY = ("--level", "integrity", "--level", "structure", "--level", "metadata", "--level", "tokenizer")
NOTHING = ("--tensor", "nothing*")
DOCUMENTED = {0, 1, 2, 3, 5}
LONG = "9" * 5000


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    assert int(stopped.value.code or 0) in DOCUMENTED
    return int(stopped.value.code or 0), captured.out, captured.err


def strict_json(text: str) -> object:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


def checkpoint(
    folder: Path, shape: list[int], name: str, source: Path = LLAMA / "hf", raw: bytes | None = None
) -> Path:
    """A checkpoint whose one tensor has a hostile name or shape."""
    shutil.copytree(source, folder)
    raw = bytes(8) if raw is None else raw
    header = json.dumps({name: {"dtype": "BF16", "shape": shape, "data_offsets": [0, len(raw)]}}).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + raw)
    return folder


@pytest.mark.parametrize("value", [None, True, 0, -1, 10**400, 1e300, "x", "\ud800", [], [[1]], {"a": 1}, [10**400]])
@pytest.mark.parametrize("scaling", ["llama3", "longrope"])
def test_rope_scaling_of_any_type_and_size(tmp_path, capsys, value, scaling):
    folder = Path(shutil.copytree(LLAMA / "hf", tmp_path / "hf"))
    whole = json.loads((folder / "config.json").read_text())
    names = ("factor", "low_freq_factor", "original_max_position_embeddings", "rope_theta", "long_factor", "rope_type")
    for name in names:
        changed = {"rope_type": scaling, "factor": 8.0, "short_factor": [1.0], name: value}
        (folder / "config.json").write_text(json.dumps(whole | {"rope_scaling": changed}))
        for a, b in ((folder, LLAMA / "gguf/bf16.gguf"), (LLAMA / "hf", folder)):
            strict_json(run(capsys, "diff", a, b, *HEADERS_ONLY, *NOTHING, "--format", "json")[1])


@pytest.mark.parametrize("name", ["head_dim", "num_attention_heads", "num_key_value_heads", "num_hidden_layers"])
@pytest.mark.parametrize("value", [0, -1, 10**12, 2**62, 10**400, 0.5, "8", [4, 2], None])
def test_dimensions_of_any_size_allocate_nothing(tmp_path, capsys, name, value):
    folder = Path(shutil.copytree(LLAMA / "hf", tmp_path / "hf"))
    whole = json.loads((folder / "config.json").read_text())
    scaling = {"rope_type": "llama3", "factor": 8.0}
    (folder / "config.json").write_text(json.dumps(whole | {name: value, "rope_scaling": scaling}))
    run(capsys, "diff", folder, LLAMA / "gguf/bf16.gguf", *HEADERS_ONLY, *NOTHING)


@pytest.mark.parametrize(
    "name",
    [
        f"model.layers.{LONG}.self_attn.q_proj.weight",
        f"blk.{LONG}.ffn_down.weight",
        f"model.layers.0.mlp.experts.{LONG}.up_proj.weight",
        "blk.\u00b2.ffn_down.weight",
        "model.layers.\u0663.self_attn.q_proj.weight",
        "model.layers.{layer}.x",
        "\ud800\x1b[31m\u202e",
        "",
        "model.layers.-1.x",
    ],
    ids=lambda name: ascii(name)[:30],
)
def test_names_of_any_kind(tmp_path, capsys, name):
    model = checkpoint(tmp_path / "a", [4], name)
    for other in (LLAMA / "gguf/bf16.gguf", model):
        run(capsys, "diff", model, other, "--outtype", "q4_k_m")
        strict_json(run(capsys, "diff", other, model, "--format", "json")[1])
    _, out, _ = run(capsys, "inspect", model)
    assert "\x1b" not in out
    assert "\u202e" not in out


@pytest.mark.parametrize(
    "shape", [[2**40, 0], [0, 2**62], [2**62, 1], [2**31, 2**31], [], [0], [4], [2, 2, 1], [2, 2, 0]]
)
@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("llama-tiny256", "model.layers.0.self_attn.q_proj.weight"),
        ("gpt2-tiny", "transformer.h.0.attn.c_attn.weight"),
        ("gemma3-tiny", "model.embed_tokens.weight"),
    ],
)
def test_shapes_of_any_size(tmp_path, capsys, model, name, shape):
    damaged = checkpoint(tmp_path / "a", shape, name, FIXTURES / model / "hf", bytes(8) if 0 not in shape else b"")
    for a, b in ((damaged, FIXTURES / model / "gguf/bf16.gguf"), (FIXTURES / model / "gguf/bf16.gguf", damaged)):
        assert run(capsys, "diff", a, b)[0] == 1


@pytest.mark.parametrize("field", ["tokenizer.ggml.model", "llama.rope.scaling.type", "general.architecture"])
@pytest.mark.parametrize("raw", [b"\x04\0\0\0" + bytes(8), b"\x05\0\0\0\x02" + bytes(15)], ids=["empty", "two"])
def test_a_list_where_text_belongs(tmp_path, capsys, field, raw):
    known = [key(b"general.architecture", 8, string(b"llama"))] if field != "general.architecture" else []
    keys = [*known, key(field.encode(), 9, raw)]
    path = tmp_path / "a.gguf"
    path.write_bytes(gguf_file(keys, [tensor(b"output_norm.weight", (8,), 0, 0)], 32))
    run(capsys, "diff", path, path)
    run(capsys, "diff", LLAMA / "hf", path)
    strict_json(run(capsys, "inspect", path, "--format", "json")[1])


def aprtui(*arguments: object, **options: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "aprtui", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False, timeout=120, **options)


@pytest.mark.parametrize(("encoding", "shown_as"), [("latin-1", b"caf\xe9 \\u4e2d"), ("ascii", "caf\u00e9".encode())])
def test_a_terminal_without_unicode_gets_escapes(tmp_path, encoding, shown_as):
    """Python's own handler of unknown characters ends the command; click writes UTF-8 where it meets ASCII."""
    model = checkpoint(tmp_path / "a", [4], "caf\u00e9 \u4e2d\u2026")
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "LC_ALL": "C"}
    shown = aprtui("inspect", model, env=environment)
    assert shown.returncode == 0
    assert shown_as in shown.stdout
    assert aprtui("diff", model, LLAMA / "hf", env=environment).returncode == 1


def test_a_reader_that_leaves_early_does_not_change_the_verdict():
    command = f"{sys.executable} -m aprtui diff {LLAMA / 'hf'} {LLAMA / 'gguf/Q8_0.gguf'} --format json --outtype q4_0"
    piped = subprocess.run(
        ["bash", "-c", f"{command} | head -c 1; echo ${{PIPESTATUS[0]}}"], capture_output=True, check=True, text=True
    )
    assert piped.stdout == "{1\n"
    assert piped.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_disk_is_one_line():
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-m", "aprtui", "inspect", str(LLAMA / "hf")]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 3
    assert (
        done.stderr.splitlines()[0] == "aprtui: standard output: the report cannot be written: No space left on device"
    )


def test_a_defect_of_aprtui_is_never_taken_for_a_verdict(monkeypatch, capsys):
    """Python's own exit code for an exception is 1, which means that a check failed."""

    def fail(*_: object, **__: object) -> None:
        raise ValueError("surprise")

    monkeypatch.setattr("aprtui.cli.diff.run_diff", fail)
    with pytest.raises(SystemExit) as stopped:
        main(["diff", "a", "b"])
    assert stopped.value.code == 3
    assert "defect of aprtui" in capsys.readouterr().err
