"""`aprtui bundle`, and the commands that take a bundle as a run."""

import shutil
import tempfile

import pytest
from runs_by_hand import FAILS, HOLDS, comparison, gate, tensor, write_run

from aprtui.cli import main

RUN = "20260102-030405-a1b2"


@pytest.fixture
def aprtui(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def result(*arguments):
        with pytest.raises(SystemExit) as ended:
            main([*map(str, arguments)])
        return ended.value.code, *capsys.readouterr()

    return result


@pytest.fixture
def bundled(aprtui, tmp_path):
    """A bundle of a run that is gone."""
    folder = write_run(tmp_path / "o" / RUN, [*comparison(tensor("x", 1.0)), gate("F-CONV-S-G", FAILS, "one differs")])
    code, out, err = aprtui("bundle", folder.path)
    assert (code, err) == (0, "") and out.startswith(f"{RUN}.tar.gz: ") and out.endswith(" bytes\n")
    shutil.rmtree(tmp_path / "o")
    return tmp_path / f"{RUN}.tar.gz"


def test_show_attach_and_compare_take_a_bundle(aprtui, bundled, tmp_path):
    code, out, _ = aprtui("show", bundled)
    assert code == 0 and out.startswith(f"{RUN}  finished  p\n") and "FAIL  F-CONV-S-G" in out
    assert "bundled    20" in out and "folder" not in out
    code, out, _ = aprtui("attach", bundled)
    assert code == 0 and "FAIL  S~S>G  x: 1 of 64 elements differ" in out
    later = write_run(tmp_path / "later", [*comparison(tensor("x")), gate("F-CONV-S-G", HOLDS, "all equal")])
    code, out, _ = aprtui("compare", bundled, later.path)
    assert code == 0 and "1 fixed" in out and "FAIL > pass  S~S>G  x\n" in out


def test_attach_to_a_bundle_of_a_run_that_goes_on_ends(aprtui, tmp_path):
    folder = write_run(tmp_path / "o" / RUN, comparison(tensor("x")), ended=False)
    aprtui("bundle", folder.path, "-o", "b.tar.gz")
    code, out, _ = aprtui("attach", "b.tar.gz")
    assert code == 3 and "pass  S~S>G  x: every element equal" in out
    assert "bundled before it ended" in aprtui("show", "b.tar.gz")[1]
    assert "is not running: bundled before it ended" in aprtui("stop", "b.tar.gz")[1]


def test_a_bundle_cannot_be_resumed(aprtui, bundled):
    code, _, err = aprtui("run", "--resume", bundled)
    assert code in (2, 3) and "Traceback" not in err


def test_no_run_and_no_place(aprtui, bundled):
    assert aprtui("bundle", "x")[:2] == (2, "")
    code, out, err = aprtui("bundle", bundled, "-o", "nowhere/b.tar.gz")
    assert (code, out) == (3, "") and "nowhere/b.tar.gz: the bundle cannot be written: No such file" in err


def test_a_damaged_bundle_is_one_line(aprtui, bundled):
    bundled.write_bytes(bundled.read_bytes()[:200])
    for command in ("show", "attach", "bundle"):
        code, out, err = aprtui(command, bundled)
        assert (code, out) == (2, "") and err.count("\n") == 1
        assert "no bundle of a run: it is damaged" in err and "make one with `aprtui bundle RUN`" in err
