"""`aprtui compare` as a user types it."""

import json
import sys

import pytest
from runs_by_hand import FAILS, HOLDS, comparison, gate, level, tensor, write_run

from aprtui.cli import main
from aprtui.core.outcomes import Level

SG = "F-CONV-S-G"


@pytest.fixture
def run(capsys):
    def result(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["compare", *map(str, arguments)])
        return ended.value.code, *capsys.readouterr()

    return result


@pytest.fixture
def runs(tmp_path):
    good = [*comparison(tensor("q_proj\x1b[31m"), level(Level.WEIGHTS)), gate(SG, HOLDS, "all equal")]
    bad = [*comparison(tensor("q_proj\x1b[31m", 0.5), level(Level.WEIGHTS, "q_proj")), gate(SG, FAILS, "one differs")]
    return write_run(tmp_path / "good", good).path, write_run(tmp_path / "bad", bad).path


def test_a_gate_that_broke(run, runs):
    good, bad = runs
    code, out, err = run(good, bad)
    assert (code, err) == (0, "")
    assert out.startswith("good to bad\n1 broken\n")
    assert "pass > FAIL  F-CONV-S-G              one differs (1 tensor flipped)\n" in out
    assert "pass > FAIL  S~S>G  weights: 0 findings failed, now 1\n" in out
    assert "pass > FAIL  S~S>G  q_proj\\x1b[31m\n" in out
    assert "before  every element equal; NMSE 0.00e+00, max |error| 0\n" in out
    assert "now     1 of 64 elements differ, by up to 4.194e+06 ULP; NMSE 3.91e-03, max |error| 0.5\n" in out


def test_the_exit_code_is_asked_for(run, runs):
    good, bad = runs
    assert run(good, bad, "--exit-code")[0] == 1
    assert run(bad, good, "--exit-code")[0] == 0
    code, out, _ = run(bad, bad, "--exit-code")
    assert code == 0 and out == "bad to bad\n1 unchanged\n"


def test_json_holds_everything(run, runs):
    code, out, _ = run(*runs, "--format", "json")
    found = json.loads(out)
    assert code == 0 and found["gates"][0]["change"] == "broken"
    (flip,) = found["tensors"]
    assert flip["name"] == "q_proj\x1b[31m" and flip["after"]["max_abs"] == 0.5
    assert found["levels"][0] == {
        "comparison": "S~S>G",
        "level": "weights",
        "before": "Corroborated",
        "after": "Falsified",
        "failures_before": 0,
        "failures_after": 1,
    }


def test_of_many_tensors_the_worst_are_shown(run, tmp_path):
    names = [f"t{number:03}" for number in range(300)]
    good = write_run(tmp_path / "a", comparison(*map(tensor, names)))
    bad = write_run(tmp_path / "b", comparison(*(tensor(name, 1.0 + number) for number, name in enumerate(names))))
    _, out, _ = run(good.path, bad.path)
    assert out.count("pass > FAIL") == 20 and "  t299\n" in out and "… 280 more (--format json lists all)" in out


def test_damaged_lines_are_told(run, runs):
    good, bad = runs
    with (bad / "journal.jsonl").open("ab") as journal:
        journal.write(b"garbage\n")
    assert run(good, bad)[2] == "1 damaged or unknown lines were passed over\n"


def test_a_run_that_does_not_exist(run, runs):
    code, out, err = run(runs[0], "nothing")
    assert (code, out) == (2, "")
    assert err == "aprtui: there is no run 'nothing'; `aprtui ps --all` lists the runs of this user\n"


def test_arrays_are_not_loaded(runs):
    import subprocess

    code = f"import sys; from aprtui.cli import main\ntry: main(['compare', {str(runs[0])!r}, {str(runs[1])!r}])\n"
    code += "finally: print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.endswith("False\n"), done.stderr
