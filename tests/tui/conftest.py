"""What holds for tests of the console: no settings of the user's, no notifications of earlier consoles."""

import pytest
from console import CHILDREN, answers_with
from tui_files import write_playbook


@pytest.fixture(autouse=True)
def own_home(monkeypatch, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    for name in ("NO_COLOR", "TMUX", "SSH_CONNECTION", "APRTUI_THEME", "APRTUI_ASCII"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")


@pytest.fixture(autouse=True)
def no_children(monkeypatch):
    """No other process is asked unless a test says so."""
    for place in CHILDREN:
        answers_with(monkeypatch, place, None, "no children in tests")


@pytest.fixture
def playbooks(tmp_path):
    """A folder with one playbook that loads."""
    folder = tmp_path / "playbooks"
    folder.mkdir()
    write_playbook(folder)
    return folder
