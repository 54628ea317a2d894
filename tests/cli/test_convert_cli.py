"""`aprtui convert` as a user runs it: formats by name, nothing overwritten, one line where something is wrong."""

import json

import pytest
from fixture_files import FIXTURES
from hub_cache import fresh_home
from stand_in_apr import install_apr

from aprtui.cli import main
from aprtui.formats.container import Format
from aprtui.formats.model import open_model

HF = FIXTURES / "qwen2-tiny/hf"
LLAMA = FIXTURES / "llama-tiny256/hf"


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return int(stopped.value.code or 0), captured.out, captured.err


@pytest.mark.parametrize(
    ("name", "expected"), [("m.gguf", Format.GGUF), ("new/M.APR", Format.APR), ("directory", Format.SAFETENSORS)]
)
def test_the_name_says_the_format(capsys, tmp_path, name, expected):
    code, out, err = run(capsys, "convert", HF, tmp_path / name)
    assert (code, err) == (0, "")
    assert out.startswith(f"{tmp_path / name}: {expected}, 2")
    assert open_model(tmp_path / name).format is expected
    assert run(capsys, "diff", HF, tmp_path / name, "--outtype", "lossless")[0] == 0


def test_an_output_type_is_taken(capsys, tmp_path):
    assert run(capsys, "convert", HF, tmp_path / "m.gguf", "--outtype", "Q8_0")[0] == 0
    assert run(capsys, "diff", HF, tmp_path / "m.gguf", "--outtype", "q8_0")[0] == 0
    assert run(capsys, "diff", HF, tmp_path / "m.gguf", "--outtype", "lossless")[0] == 1


def test_an_unknown_output_type_is_a_usage_error(capsys, tmp_path):
    code, _, err = run(capsys, "convert", HF, tmp_path / "m.gguf", "--outtype", "q9")
    assert code == 2 and "unknown output type 'q9'" in err and "q4_k_m" in err
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(capsys, tmp_path):
    (tmp_path / "m.gguf").write_text("precious")
    directory = tmp_path / "directory"
    directory.mkdir()
    (directory / "config.json").write_text("precious")
    for target in (tmp_path / "m.gguf", directory):
        code, _, err = run(capsys, "convert", HF, target)
        assert code == 2 and f"{target}: the destination exists" in err
    assert (tmp_path / "m.gguf").read_text() == (directory / "config.json").read_text() == "precious"


def test_an_empty_directory_is_filled(capsys, tmp_path):
    assert run(capsys, "convert", FIXTURES / "qwen2-tiny/gguf/bf16.gguf", tmp_path)[0] == 0
    assert json.loads((tmp_path / "config.json").read_text())["architectures"] == ["Qwen2ForCausalLM"]


def test_a_single_safetensors_file_is_refused(capsys, tmp_path):
    code, _, err = run(capsys, "convert", HF, tmp_path / "model.safetensors")
    assert code == 2 and "name a directory instead" in err


def test_a_missing_source(capsys, tmp_path):
    code, _, err = run(capsys, "convert", tmp_path / "nothing", tmp_path / "m.gguf")
    assert code == 3 and len(err.splitlines()) == 1 and not (tmp_path / "m.gguf").exists()


def test_a_destination_that_cannot_be_written(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = run(capsys, "convert", HF, tmp_path / "file/m.gguf")
    assert code == 3 and "the directory cannot be made" in err


def test_what_the_product_lacks_is_said(capsys, tmp_path):
    source = FIXTURES / "apr/0.72.3/qwen2-tiny/s-import.apr"
    code, _, err = run(capsys, "convert", source, tmp_path / "hf")
    assert code == 0 and "the product lacks its tokenizer: the source's tokenizer lacks token types" in err


def test_a_type_that_the_format_lacks(capsys, tmp_path):
    code, _, err = run(capsys, "convert", HF, tmp_path / "hf", "--outtype", "q8_0")
    assert code == 3 and "SafeTensors cannot store Q8_0" in err
    assert not (tmp_path / "hf").exists()


@pytest.fixture
def apr(monkeypatch, tmp_path):
    fresh_home(monkeypatch, tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return lambda version: install_apr(tmp_path / "bin", version)


@pytest.mark.parametrize(("name", "recorded"), [("m.apr", "s-import.apr"), ("m.gguf", "sg.gguf")])
def test_another_converter_writes_the_destination_and_nothing_beside_it(apr, capsys, tmp_path, name, recorded):
    apr("0.72.3")
    target = tmp_path / "new" / name
    code, out, err = run(capsys, "convert", LLAMA, target, "--converter", "apr")
    assert (code, err) == (0, "") and out.startswith(f"{target}: ")
    assert target.read_bytes() == (FIXTURES / "apr/0.72.3/llama-tiny256" / recorded).read_bytes()
    assert list(target.parent.iterdir()) == [target]


def test_another_converter_writes_a_directory(apr, capsys, tmp_path):
    apr("0.72.3")
    source = FIXTURES / "apr/0.72.3/llama-tiny256/s-import.apr"
    assert run(capsys, "convert", source, tmp_path / "new/hf", "--converter", "apr")[0] == 0
    assert sorted(path.name for path in (tmp_path / "new/hf").iterdir()) == ["config.json", "model.safetensors"]


def test_another_converter_that_refuses_leaves_nothing(apr, capsys, tmp_path):
    apr("0.2.11")
    source = FIXTURES / "llama-tiny256/gguf/bf16.gguf"
    code, _, err = run(capsys, "convert", source, tmp_path / "new/m.apr", "--converter", "apr")
    assert code == 3 and "apr ended with exit code 5: error: Validation failed" in err
    assert len(err.splitlines()) == 1 and list((tmp_path / "new").iterdir()) == []


def test_a_converter_that_is_missing_or_unknown(apr, capsys, tmp_path):
    code, _, err = run(capsys, "convert", LLAMA, tmp_path / "new/m.apr", "--converter", "apr")
    assert code == 3 and "apr is not on PATH" in err
    code, _, err = run(capsys, "convert", LLAMA, tmp_path / "new/m.apr", "--converter", "nobody")
    assert code == 2 and "there is no converter 'nobody'; name one of apr, builtin, llama.cpp" in err
