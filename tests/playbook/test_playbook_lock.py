"""apr-qa's lock file: what does not fit is a warning with a line, and never stops a run."""

import shutil
from pathlib import Path

import pytest

from aprtui.playbook import ComplaintKind, load_playbook

COPIES = Path(__file__).parents[1] / "data" / "playbooks"
NAME = "qwen2.5-coder-0.5b-mvp.playbook.yaml"


@pytest.fixture
def locked(tmp_path):
    """A playbook with the lock file in the folder above, as apr-qa has them."""
    (tmp_path / "models").mkdir()
    shutil.copy(COPIES / "models" / NAME, tmp_path / "models" / NAME)
    shutil.copy(COPIES / "playbook.lock.yaml", tmp_path)
    return tmp_path / "models" / NAME


def warnings(path):
    return [complaint for complaint in load_playbook(path).complaints if complaint.kind is ComplaintKind.LOCK]


def test_a_file_that_was_not_touched_gives_no_warning(locked):
    assert warnings(locked) == []


def test_a_changed_file_is_a_warning_at_the_entry(locked):
    locked.write_text(locked.read_text() + "# touched\n")
    (warning,) = warnings(locked)
    lock = locked.parents[1] / "playbook.lock.yaml"
    assert warning.file == lock and "is not the file that was locked" in warning.message
    assert "sha256:" in lock.read_text().splitlines()[warning.line - 1]
    assert "qwen2.5-coder-0.5b-mvp:" in "".join(lock.read_text().splitlines()[: warning.line])


def test_a_lock_beside_the_playbook_counts_first(locked):
    (locked.parent / "playbook.lock.yaml").write_text("entries: {}\n")
    (warning,) = warnings(locked)
    assert "has no entry for qwen2.5-coder-0.5b-mvp" in warning.message and warning.file is None
    assert locked.read_text().splitlines()[warning.line - 1].startswith("name:")


def test_a_name_that_is_not_the_files_is_a_warning():
    """The one file of apr-qa that its own lock can never let pass."""
    (warning,) = warnings(COPIES / "models/qwen2.5-3b-mvp.playbook.yaml")
    assert "'qwen2.5-3b-general-mvp'" in warning.message and warning.key == "name"


@pytest.mark.parametrize("content", [b"entries: [", b"[]", b"\xff", b"entries: 5", b"entries: {qwen2: {sha256: []}}"])
def test_a_lock_file_that_cannot_be_read_is_a_warning(locked, content):
    (locked.parents[1] / "playbook.lock.yaml").write_bytes(content)
    (warning,) = warnings(locked)
    assert warning.line >= 1 and warning.message


def test_without_a_lock_file_nothing_is_said(locked):
    (locked.parents[1] / "playbook.lock.yaml").unlink()
    assert warnings(locked) == []
