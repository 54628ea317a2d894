"""`aprtui watch` as a user leaves it running: saves of the playbook, the model, and saves that are wrong."""

import os
import shutil
import signal
import subprocess
import sys
from threading import Event

import pytest
from engine_runs import ROOT, record_of, wait_until, write_playbook
from fixture_files import FIXTURES

from aprtui.store import file_watch

MODEL = FIXTURES / "qwen2-tiny/hf"
KEYS = "aprtui:\n  outtype: {F-CONV-S-G: f16}\n"


@pytest.fixture
def watching(tmp_path):
    """A watch of one pair on a model of its own, after its first run; its output so far is in a file."""
    shutil.copytree(MODEL, tmp_path / "hf")
    playbook = write_playbook(tmp_path, KEYS).path
    log = (tmp_path / "log").open("wb")
    command = [sys.executable, "-m", "aprtui", "watch", str(playbook), "--model", str(tmp_path / "hf")]
    command += ["--converter", "builtin", "--output-dir", str(tmp_path / "o"), "--pair", "S-G", "--pair", "S-A"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    wait_until(lambda: text(tmp_path).count("waiting for changes") == 1, 60)
    yield process, tmp_path
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130, text(tmp_path)
    log.close()


def text(folder):
    return (folder / "log").read_text()


def runs(folder):
    return sorted((folder / "o/test/runs").iterdir())


def test_every_save_is_followed_by_what_it_needs(watching):
    _, folder = watching
    assert "exit code 0; waiting for changes" in text(folder) and len(runs(folder)) == 1
    # Tolerances alone: judged again, nothing is converted.
    write_playbook(folder, KEYS + "  tolerance: {ulp: 0.01}\n")
    wait_until(lambda: "1 gates were judged again" in text(folder), 30)
    record = record_of(runs(folder)[0])
    assert record.verdicts()["F-CONV-S-G"].outcome.value == "Falsified" and len(runs(folder)) == 1
    # What does not load leaves the last good run, and names the line.
    (folder / "test.playbook.yaml").write_text("name: test\nmodel: [\n")
    wait_until(lambda: "the last good run stands" in text(folder), 30)
    assert "test.playbook.yaml, line" in text(folder) and "Traceback" not in text(folder)
    # Another output type, saved as editors do: by a new file in place of the old one.
    other = folder / "elsewhere"
    other.mkdir()
    write_playbook(other, "aprtui:\n  outtype: {F-CONV-S-G: bf16}\n").path.replace(folder / "test.playbook.yaml")
    wait_until(lambda: text(folder).count("waiting for changes") == 2, 60)
    assert len(runs(folder)) == 2
    # The model.
    with (folder / "hf/tokenizer_config.json").open("a") as file:
        file.write("\n")
    wait_until(lambda: text(folder).count("waiting for changes") == 3, 60)
    assert len(runs(folder)) == 3 and "changed: " in text(folder)


def test_a_playbook_that_is_wrong_from_the_start(tmp_path):
    (tmp_path / "p.yaml").write_text("name: [\n")
    command = [sys.executable, "-m", "aprtui", "watch", str(tmp_path / "p.yaml")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "p.yaml" in done.stderr and "Traceback" not in done.stderr


def test_network_disks_are_polled(tmp_path):
    mounts = tmp_path / "mounts"
    mounts.write_text("proc /proc proc rw 0 0\n/dev/a / ext4 rw 0 0\nhost:/x /mnt/my\\040models nfs4 rw 0 0\ntorn\n")
    assert file_watch.is_on_network(file_watch.Path("/mnt/my models/a/b"), mounts)
    assert not file_watch.is_on_network(file_watch.Path("/srv/models"), mounts)
    assert not file_watch.is_on_network(tmp_path, tmp_path / "no mounts")


def test_every_save_on_a_network_disk_is_seen_by_polling(tmp_path, monkeypatch):
    """The kernel tells nothing there: the files are looked at now and then."""
    path, other, stop = tmp_path / "p.yaml", tmp_path / "not yet", Event()
    path.write_text("a")
    monkeypatch.setattr(file_watch, "is_on_network", lambda _: True)
    watched = file_watch.changes([path, other], stop)
    assert next(watched) == frozenset()
    stamp = path.stat()
    path.write_text("b")
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns + 1))  # within the same second
    assert next(watched) == frozenset() and next(watched) == frozenset({path})
    other.write_text("")
    path.unlink()
    assert next(watched) == frozenset() and next(watched) == frozenset({path, other})
    assert next(watched) == frozenset()
    stop.set()
    assert list(watched) == []
