"""ps, attach, show and stop as a user types them, on a run that goes on, one that ended and one of another host."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
from engine_runs import ROOT, aprtui, halted, processes_of, run_folder_below, start, write_playbook
from fixture_files import FIXTURES

from aprtui.cli import main, stop

MODEL = FIXTURES / "qwen2-tiny/hf"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a run that has finished, of a model that is gone."""
    place = tmp_path_factory.mktemp("finished")
    shutil.copytree(MODEL, place / "hf")
    path = write_playbook(place).path
    process = start(place / "o", path, "--model", place / "hf", "--converter", "builtin")
    assert process.communicate(timeout=60) and process.returncode == 0
    shutil.rmtree(place / "hf")
    return run_folder_below(place / "o")


@pytest.fixture
def running(tmp_path):
    with halted(tmp_path / "o", MODEL) as found:
        yield found


def test_show_needs_no_model(finished):
    code, out, _ = aprtui("show", finished)
    assert code == 0 and out.count("pass  ") == 38
    assert out.startswith(f"{finished.name}  finished  test\n")


def test_attach_to_a_run_that_has_ended_shows_all_of_it(finished):
    code, out, _ = aprtui("attach", finished)
    assert code == 0
    assert out.count("every element equal") + out.count("ULP") >= 26
    assert "conversion S>G finished" in out and out.endswith("finished with exit code 0\n")


def test_a_damaged_journal_is_shown_as_far_as_it_goes(finished, tmp_path):
    copy = tmp_path / finished.name
    shutil.copytree(finished, copy)
    lines = (copy / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (copy / "journal.jsonl").write_bytes(b"".join(lines[:90]) + b"garbage\n" + b"".join(lines[90:110]) + lines[110][:9])
    code, out, err = aprtui("show", copy)
    assert code == 3 and "died" in out and f"aprtui run --resume {copy.name}" in out
    assert "pass  F-CONV-S-G" in out and "no verdict" in out
    assert "1 damaged or unknown lines were passed over" in err


def test_ps_attach_and_stop(running):
    process, folder = running
    code, out, _ = aprtui("ps")
    assert code == 0 and out.startswith(f"{folder.name}  running") and "0/38  test" in out
    assert aprtui("show", folder.name)[0] == 3
    command = [sys.executable, "-m", "aprtui", "attach", folder.name]
    attached = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert "started on" in attached.stdout.readline()
    code, _, err = aprtui("run", "--resume", folder.name)
    assert code == 2 and "another engine is working on this run" in err
    code, out, _ = aprtui("stop", folder.name)
    assert code == 0 and out == f"{folder.name} stopped; `aprtui run --resume {folder.name}` goes on with it\n"
    assert processes_of(folder) == []
    assert process.wait(10) == 130
    assert "interrupted by SIGTERM" in attached.communicate(timeout=10)[0] and attached.returncode == 130
    assert aprtui("stop", folder.name)[1] == f"{folder.name} is not running: interrupted\n"
    assert f"{folder.name}  interrupted" in aprtui("ps", "--all")[1]
    code, _, err = aprtui("ps")
    assert code == 0 and "no run is going on" in err


def test_an_engine_that_does_not_listen_is_killed(running, monkeypatch, capsys):
    process, folder = running
    monkeypatch.setattr(stop, "_PATIENCE", 1.0)
    os.kill(process.pid, signal.SIGSTOP)
    with pytest.raises(SystemExit) as ended:
        main(["stop", folder.name])
    assert ended.value.code == 0 and process.wait(10) == -signal.SIGKILL
    assert processes_of(folder) == []


def as_if_elsewhere(folder, tmp_path):
    copy = tmp_path / folder.name
    shutil.copytree(folder, copy)
    pid = json.loads((copy / "pid.json").read_text())
    (copy / "pid.json").write_text(json.dumps(pid | {"host": "gpu-07", "pid": 1}))
    lines = (copy / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (copy / "journal.jsonl").write_bytes(b"".join(lines[:-1]))
    return copy


def test_a_run_of_another_host_is_shown_and_left_alone(finished, tmp_path):
    copy = as_if_elsewhere(finished, tmp_path)
    assert "on another host" in aprtui("show", copy)[1]
    code, _, err = aprtui("stop", copy)
    assert code == 2 and err == f"aprtui: run {copy.name} belongs to host gpu-07; stop it there\n"
    code, _, err = aprtui("run", "--resume", copy)
    assert code == 2 and "belongs to host gpu-07; resume it there" in err


@pytest.mark.parametrize("arguments", [["show", "x"], ["attach", "x"], ["stop", "x"], ["run", "--resume", "x"]])
def test_a_run_that_does_not_exist(arguments):
    code, out, err = aprtui(*arguments)
    assert (code, out) == (2, "")
    assert err == "aprtui: there is no run 'x'; `aprtui ps --all` lists the runs of this user\n"


def test_resume_takes_nothing_else(finished, tmp_path):
    code, _, err = aprtui("run", "--resume", finished, "--converter", "builtin")
    assert code == 2 and "--resume takes playbook, model, converter and places from the run" in err
    assert aprtui("run")[0] == 2


def test_resume_of_a_run_whose_model_is_gone(finished):
    code, _, err = aprtui("run", "--resume", finished)
    assert code == 3 and "the model is gone" in err


def test_products_go_where_they_are_told(tmp_path):
    path = write_playbook(tmp_path).path
    scratch = tmp_path / "fast"
    process = start(tmp_path / "o", path, "--model", MODEL, "--converter", "builtin", "--scratch", scratch)
    process.communicate(timeout=60)
    folder = run_folder_below(tmp_path / "o")
    assert process.returncode == 0
    assert json.loads((folder / "plan.json").read_text())["scratch"] == str(scratch)
    assert [place.name for place in scratch.iterdir()] == ["aprtui-conversions"]
