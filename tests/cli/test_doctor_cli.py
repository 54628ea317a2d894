"""`aprtui doctor`: what is there, what is missing, what is broken, on machines made for it."""

import json
import os
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

import pytest
from engine_runs import ROOT
from fixture_files import FIXTURES
from stand_in_apr import install_apr

from aprtui.cli import doctor_machine, doctor_tools, main
from aprtui.compare.kernels import machine_code
from aprtui.formats.digest import file_digest


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A user without settings, models and programs, in an empty directory."""
    for name in ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME", "NO_COLOR", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "bin").mkdir()
    (tmp_path / "project").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path


@pytest.fixture
def doctor(home, capsys):
    def result():
        with pytest.raises(SystemExit) as ended:
            main(["doctor", "--format", "json"])
        checks = json.loads(capsys.readouterr().out)
        return ended.value.code, {f"{check['group']}: {check['name']}": check for check in checks}

    return result


def states(checks, state):
    return {name for name, check in checks.items() if check["state"] == state}


def test_a_machine_that_has_nothing_is_fine(doctor, home):
    code, checks = doctor()
    assert code == 0 and states(checks, "broken") == set()
    assert {"converters: apr", "converters: llama.cpp", "models: Hugging Face cache"} <= states(checks, "missing")
    assert checks["converters: apr"]["found"].startswith("apr is not on PATH; install it")
    assert checks["converters: builtin"]["facts"]["digest"].startswith("xxh3:")
    assert checks["software: Python"]["facts"]["version"] == ".".join(map(str, sys.version_info[:3]))
    assert checks["software: packages"]["facts"]["numpy"] == metadata.version("numpy")
    assert checks["machine: processors"]["facts"]["processors"] == len(os.sched_getaffinity(0))
    assert checks["machine: memory"]["facts"]["total_bytes"] > 1 << 28
    assert checks["playbooks: aprtui's own"]["facts"]["playbooks"] >= 20
    assert list(home.glob("**/output")) == [], "looking made something"


def test_programs_models_and_settings_that_are_there(doctor, home):
    program = install_apr(home / "bin", "0.72.3")
    (home / "config/aprtui").mkdir(parents=True)
    settings = home / "config/aprtui/settings.toml"
    mine = '[converters.mine]\ncommand = ["gone", "{source}", "{target}"]\n'
    settings.write_text(f'model_folders = ["{FIXTURES / "qwen2-tiny"}"]\n{mine}')
    code, checks = doctor()
    assert code == 0
    apr = checks["converters: apr"]
    assert apr["state"] == "fine" and apr["facts"]["path"] == str(program)
    assert apr["facts"]["version"].startswith("0.72.3") and apr["facts"]["digest"] == file_digest(program)
    assert (
        checks["converters: mine"]["state"] == "missing"
        and "gone is not on PATH" in checks["converters: mine"]["found"]
    )
    assert checks["settings: of the user"]["found"] == str(settings)
    (folder,) = [check for name, check in checks.items() if name.startswith("models: model folder")]
    assert folder["facts"]["models"] >= 1 and str(settings) in folder["name"]


def test_a_converter_that_does_not_work_is_broken(doctor, home):
    program = home / "bin/apr"
    program.write_text(f"#!{sys.executable}\nraise SystemExit(9)\n")
    program.chmod(0o755)
    code, checks = doctor()
    assert code == 3 and states(checks, "broken") == {"converters: apr"}
    assert "asked for its version, it" in checks["converters: apr"]["found"]


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("config/aprtui/settings.toml", "x = \n", "line 1: these settings are not TOML"),
        ("config/aprtui/settings.toml", "\nmodel_foldres = []\n", "line 2, model_foldres: there is no such setting"),
        ("project/aprtui.toml", "[converters.x]\n", "a project may not name programs to run"),
    ],
)
def test_settings_that_are_wrong(doctor, home, file, text, message):
    (home / file).parent.mkdir(parents=True, exist_ok=True)
    (home / file).write_text(text)
    code, checks = doctor()
    (broken,) = states(checks, "broken")
    assert code == 3 and broken.startswith("settings: of the ") and message in checks[broken]["found"]
    assert checks["converters: builtin"]["state"] == "fine"


def test_a_converter_whose_settings_are_wrong(doctor, home):
    (home / "config/aprtui").mkdir(parents=True)
    (home / "config/aprtui/settings.toml").write_text('[converters.mine]\ncommand = ["x", "{sauce}"]\n')
    code, checks = doctor()
    assert code == 3 and states(checks, "broken") == {"converters: mine"}
    assert "there is no placeholder {sauce}" in checks["converters: mine"]["found"]


def test_directories_that_cannot_be_written(doctor, home, monkeypatch):
    (home / "project/output").write_text("a file")
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "project/output/state"))
    code, checks = doctor()
    assert code == 3 and states(checks, "broken") == {"directories: output and products"}
    assert "name another with --output-dir" in checks["directories: output and products"]["found"]
    # Without a register runs are found by their path.
    assert checks["directories: register of runs"]["state"] == "missing"


def test_little_space_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor_machine, "_LITTLE_SPACE", 1 << 60)
    check = doctor_machine._directory("output", tmp_path, doctor_machine.State.BROKEN, "")
    assert check.state == "missing" and "which most products do not fit into" in check.found


def test_a_package_that_is_missing(doctor, monkeypatch):
    version = metadata.version

    def without(name):
        if name in ("xxhash", "torch"):
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(doctor_tools.metadata, "version", without)
    code, checks = doctor()
    assert code == 3 and states(checks, "broken") == {"software: packages"}
    assert checks["software: packages"]["found"] == "xxhash not installed; `pip install xxhash`"
    assert checks["software: torch"]["state"] == "missing"


def test_without_numba_numpy_compares(doctor, monkeypatch):
    monkeypatch.delitem(sys.modules, "aprtui.compare.kernels.machine_code")
    monkeypatch.setitem(sys.modules, "numba", None)
    code, checks = doctor()
    assert code == 0 and checks["kernels: comparison"]["state"] == "missing"
    assert "numpy alone, right and slow" in checks["kernels: comparison"]["found"]
    assert "kernels: machine code" not in checks


def test_machine_code_that_can_be_kept_and_that_cannot(doctor, monkeypatch, tmp_path):
    code, checks = doctor()
    folder = checks["kernels: machine code"]["facts"]["folder"]
    assert code == 0 and Path(folder).is_dir()
    monkeypatch.setattr(machine_code, "cache_folder", lambda: None)
    _, checks = doctor()
    assert checks["kernels: machine code"]["state"] == "missing"
    assert "set NUMBA_CACHE_DIR" in checks["kernels: machine code"]["found"]
    assert "which then takes about 20 s" in checks["kernels: comparison"]["found"]
    old, new = tmp_path / "old.nbc", tmp_path / "new.nbc"
    old.write_bytes(b"")
    new.write_bytes(b"")
    os.utime(old, (0, 0))
    os.utime(new, (2**32, 2**32))
    assert machine_code.kept_entries(tmp_path) == 1


def test_compiled_code_that_is_wrong(monkeypatch):
    results = iter([(1, 1.0, 5), (2, 1.0, 5)])
    monkeypatch.setattr(doctor_tools, "_measured", lambda _: next(results))
    assert doctor_tools._comparison("kernels", compiled=True).state == "broken"
    monkeypatch.undo()
    assert doctor_tools._comparison("kernels", compiled=True).found.endswith("agrees with numpy")


@pytest.mark.parametrize(
    ("environment", "colours"),
    [
        ({"TERM": "xterm-256color"}, "256"),
        ({"TERM": "xterm"}, "16"),
        ({"TERM": "dumb"}, "none"),
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, "16 million"),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, "none, NO_COLOR is set"),
    ],
)
def test_colours(doctor, monkeypatch, environment, colours):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert {check.name: check for check in doctor_machine.terminal()}["colours"].facts["colours"] == colours


def test_a_container_s_memory_counts(monkeypatch, tmp_path):
    limit = tmp_path / "memory.max"
    limit.write_text("1048576\n")
    monkeypatch.setattr(doctor_machine, "_CGROUP_MEMORY", limit)
    assert doctor_machine._memory()[0] == 1 << 20
    limit.write_text("max\n")
    assert doctor_machine._memory()[0] > 1 << 20


def run(home, *arguments, **environment):
    command = [sys.executable, "-X", "importtime", "-m", "aprtui", "doctor", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=home / "project")


def test_as_text_and_without_importing_what_runs_models(home):
    done = run(home, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", TERM="dumb")
    assert done.returncode == 0
    assert "\nconverters\n  ok    builtin " in done.stdout and "\n  none  apr " in done.stdout
    assert "what it lacks is written as escapes" in done.stdout
    assert "no stream is on a terminal" in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "numpy" in imported and not imported & {"torch", "transformers", "huggingface_hub", "xllamacpp"}


def test_hostile_names_are_shown_as_escapes(home):
    (home / "config/aprtui").mkdir(parents=True)
    (home / "config/aprtui/settings.toml").write_text('[converters."\\u001b[31m"]\ncommand = ["x", "{source}"]\n')
    done = run(home)
    assert "\x1b" not in done.stdout and "\\x1b[31m" in done.stdout


def test_scratch_files_are_gone(doctor, tmp_path, monkeypatch):
    # A place of its own: other tests make scratch files at the same time.
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    doctor()
    assert [path for path in (tmp_path / "scratch").iterdir() if "aprtui" in path.name] == []
