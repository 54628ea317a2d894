"""Which converter a name means, what its settings may say, and llama.cpp's command lines."""

import json
import os
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from fixture_files import FIXTURES
from hub_cache import fresh_home
from safetensors.numpy import save_file

from aprtui.convert import MissingConverter, converter_named, read_record
from aprtui.convert.builtin import BuiltinConverter
from aprtui.core.errors import UsageError
from aprtui.formats.container import Format
from aprtui.formats.output_types import parse_output_type
from aprtui.settings import Settings, load_settings

S, G, A = Format.SAFETENSORS, Format.GGUF, Format.APR
MODEL = FIXTURES / "llama-tiny256/hf"
GGUFS = FIXTURES / "llama-tiny256/gguf"
LOSSLESS = parse_output_type("lossless")


def settings(**tables):
    return Settings(converters=tables)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def llama(monkeypatch, tmp_path):
    """llama.cpp's two programs on PATH, which copy what the real ones made."""
    folder = tmp_path / "llama.cpp"
    script = write(
        folder / "convert_hf_to_gguf.py",
        f"#!{sys.executable}\n"
        "import shutil, sys\n"
        "outtype, outfile = sys.argv[sys.argv.index('--outtype') + 1], sys.argv[sys.argv.index('--outfile') + 1]\n"
        f"shutil.copyfile({str(GGUFS)!r} + f'/{{outtype}}.gguf', outfile)\n",
    )
    quantize = write(
        folder / "llama-quantize",
        f"#!{sys.executable}\n"
        "import os, shutil, sys\n"
        "before, product, outtype = sys.argv[1:]\n"
        "assert open(before, 'rb').read(4) == b'GGUF'\n"
        f"shutil.copyfile({str(GGUFS)!r} + f'/{{outtype}}.gguf', product)\n",
    )
    monkeypatch.setenv("PATH", str(folder))
    return converter_named("llama.cpp", Settings()), script, quantize


def test_the_default_is_apr_and_builtin_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    missing = converter_named(None, Settings())
    assert isinstance(missing, MissingConverter) and missing.name == "apr"
    builtin = converter_named("builtin", Settings())
    assert isinstance(builtin, BuiltinConverter) and builtin.parallel_safe
    assert builtin.not_offered(MODEL, G, LOSSLESS) is None


def test_a_missing_llama_cpp_is_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    missing = converter_named("llama.cpp", Settings())
    assert isinstance(missing, MissingConverter)
    assert missing.reason.startswith("llama.cpp: convert_hf_to_gguf.py is not on PATH; ")
    tables = {"llama.cpp": {"convert": [sys.executable, str(tmp_path / "gone.py")]}}
    missing = converter_named("llama.cpp", settings(**tables))
    assert isinstance(missing, MissingConverter) and "gone.py is not an executable file" in missing.reason


@pytest.mark.parametrize("outtype", ["bf16", "f32", "f16", "q8_0"])
def test_types_of_the_script(llama, tmp_path, outtype):
    converter, script, _ = llama
    expected = [str(script), str(MODEL), "--outtype", outtype, "--outfile", str(tmp_path / "product/model.gguf")]
    assert shlex.split(converter.command(MODEL, G, tmp_path / "product", parse_output_type(outtype))) == expected


def test_lossless_makes_what_llama_cpp_itself_makes_of_bf16(llama, tmp_path):
    converter, _, _ = llama
    (tmp_path / "product").mkdir()
    product = converter.convert(MODEL, G, tmp_path / "product", LOSSLESS)
    assert product.read_bytes() == (GGUFS / "bf16.gguf").read_bytes()


@pytest.mark.parametrize(
    ("first", "second", "outtype"),
    [("float16", "float16", "f16"), ("float32", "float32", "f32"), ("float16", "float32", "f32")],
)
def test_lossless_is_a_type_that_holds_every_matrix(llama, tmp_path, first, second, outtype):
    converter, _, _ = llama
    arrays = {"a.weight": np.zeros((2, 3), first), "b.weight": np.zeros((3, 2), second), "c": np.zeros(4, "float64")}
    save_file(arrays, tmp_path / "model.safetensors")
    command = shlex.split(converter.command(tmp_path, G, tmp_path / "product", LOSSLESS))
    assert command[2:4] == ["--outtype", outtype]


def test_a_recipe_goes_through_llama_quantize(llama, tmp_path):
    converter, script, quantize = llama
    (tmp_path / "product").mkdir()
    product = converter.convert(MODEL, G, tmp_path / "product", parse_output_type("q4_k_m"))
    assert product.read_bytes() == (GGUFS / "Q4_K_M.gguf").read_bytes()
    first, second = (command["arguments"] for command in read_record(tmp_path / "product")["commands"])
    between = str(tmp_path / "product.conversion/tmp/bf16.gguf")
    assert first == [str(script), str(MODEL), "--outtype", "bf16", "--outfile", between]
    assert second == [str(quantize), between, str(product), "Q4_K_M"]
    assert not Path(between).exists()


def test_what_llama_cpp_does_not_offer(llama):
    converter, _, quantize = llama
    assert converter.not_offered(MODEL, G, parse_output_type("q4_k_m")) is None
    reason = "llama.cpp converts from SafeTensors to GGUF, not from SafeTensors to APR"
    assert converter.not_offered(MODEL, A, LOSSLESS) == reason
    assert converter.not_offered(GGUFS / "bf16.gguf", S, LOSSLESS).endswith("not from GGUF to SafeTensors")
    assert converter.not_offered(MODEL, G, parse_output_type("int8")) == "llama.cpp has no output type int8"
    quantize.unlink()
    without = converter_named("llama.cpp", Settings())
    reason = without.not_offered(MODEL, G, parse_output_type("q4_k_m"))
    assert reason == "llama-quantize, which output type q4_k_m needs, is not on PATH"


def test_the_identity_of_llama_cpp_covers_its_packages(llama):
    converter, script, quantize = llama
    seen = {converter.identity.digest}
    assert converter.identity.version == "unknown" and converter.identity.path == script
    changes = (script, quantize, script.parent / "conversion/base.py", script.parent / "gguf-py/gguf/constants.py")
    for number, file in enumerate(changes, start=2):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text((file.read_text() if file.exists() else "") + "# changed\n")
        seen.add(converter.identity.digest)
        assert len(seen) == number
    (script.parent / "README.md").write_text("no code")
    assert converter.identity.digest in seen
    write(script.parent / "gguf-py/pyproject.toml", '[tool.poetry]\nname = "gguf"\nversion = "0.19.0"\n')
    assert converter.identity.version == "gguf-py 0.19.0"


def test_a_script_runs_with_the_interpreter_of_the_settings(tmp_path):
    script = tmp_path / "convert_hf_to_gguf.py"
    script.write_text("")
    converter = converter_named("llama.cpp", settings(**{"llama.cpp": {"convert": [sys.executable, str(script)]}}))
    command = shlex.split(converter.command(MODEL, G, tmp_path / "product", parse_output_type("f16")))
    assert command[:3] == [sys.executable, str(script), str(MODEL)]


def test_a_command_of_the_users(tmp_path):
    program = write(tmp_path / "tool", "#!/bin/sh\n")
    table = {"command": [str(program), "{source}:{format}", "-o={target}", "{outtype}"], "pairs": ["S-G", "G-S"]}
    converter = converter_named("mine", settings(mine=table))
    command = shlex.split(converter.command(MODEL, G, tmp_path / "product", parse_output_type("Q8_0")))
    assert command == [str(program), f"{MODEL}:gguf", f"-o={tmp_path}/product/model.gguf", "q8_0"]
    command = shlex.split(converter.command(GGUFS / "bf16.gguf", S, tmp_path / "product", LOSSLESS))
    assert command[1:3] == [f"{GGUFS}/bf16.gguf:safetensors", f"-o={tmp_path}/product"]
    assert converter.not_offered(MODEL, G, LOSSLESS) is None
    reason = "the settings of mine do not list a conversion from SafeTensors to APR"
    assert converter.not_offered(MODEL, A, LOSSLESS) == reason
    missing = converter_named("mine", settings(mine={"command": [str(tmp_path / "none")]}))
    assert isinstance(missing, MissingConverter) and missing.reason.startswith(f"mine: {tmp_path}/none is not ")


@pytest.mark.parametrize(
    ("name", "table", "message"),
    [
        ("mine", {"command": "tool {source.__class__} {target}"}, None),
        ("mine", {"command": ["tool", "{model}"]}, "mine.command: there is no placeholder {model}; known: {source}, "),
        ("mine", {}, "mine.command: a list of texts expected"),
        ("mine", {"command": ["tool", 3]}, "mine.command: a list of texts expected"),
        ("mine", {"command": ["tool"], "pairs": ["S-S"]}, "mine.pairs: there is no pair 'S-S'; known: S-G, "),
        ("mine", {"command": ["tool"], "parallel_safe": 1}, "mine.parallel_safe: true or false expected, found 1"),
        ("mine", {"command": ["tool"], "time_limit_s": 0}, "mine.time_limit_s: seconds expected"),
        ("mine", {"command": ["tool"], "time_limit_s": float("inf")}, "mine.time_limit_s: seconds expected"),
        ("apr", {"command": ["tool"]}, "apr.command: there is no such setting; known: path, time_limit_s"),
        ("apr", {"path": 3}, "apr.path: a text expected, found 3"),
    ],
)
def test_mistakes_in_the_settings(monkeypatch, tmp_path, name, table, message):
    write(tmp_path / "tool", "#!/bin/sh\n")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    if message is None:
        # One text is one program, however it looks: there is no shell and no format string.
        assert isinstance(converter_named(name, settings(**{name: table})), MissingConverter)
        return
    with pytest.raises(UsageError) as error:
        converter_named(name, settings(**{name: table}))
    assert f"settings.toml, converters.{message}" in error.value.message


def test_an_unknown_name():
    with pytest.raises(UsageError) as error:
        converter_named("aprr", settings(mine={}))
    assert error.value.message == "there is no converter 'aprr'; name one of apr, builtin, llama.cpp, mine"


def test_only_the_users_own_file_names_programs(monkeypatch, tmp_path):
    home = fresh_home(monkeypatch, tmp_path)
    own = home / ".config/aprtui/settings.toml"
    write(own, 'model_folders = ["models"]\n[converters.mine]\ncommand = ["tool"]\n')
    assert load_settings().converters == {"mine": {"command": ["tool"]}}
    assert load_settings([Path("x")]).converters == {"mine": {"command": ["tool"]}}
    Path("aprtui.toml").write_text('[converters.apr]\npath = "evil"\n')
    with pytest.raises(UsageError) as error:
        load_settings()
    assert error.value.message.startswith("aprtui.toml, line 1, converters: a project may not name programs to run; ")
    Path("aprtui.toml").unlink()
    own.write_text('converters = ["tool"]\n')
    with pytest.raises(UsageError, match="tables of converters expected"):
        load_settings()


def test_every_record_is_json(llama, tmp_path):
    converter, _, _ = llama
    (tmp_path / "product").mkdir()
    converter.convert(MODEL, G, tmp_path / "product", LOSSLESS)
    record = read_record(tmp_path / "product")
    assert json.loads(json.dumps(record)) == record
    assert record["converter"]["digest"] == converter.identity.digest
    assert read_record(tmp_path / "nothing") is None
