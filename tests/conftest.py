"""What holds for all tests: no run enters the user's register, slow tests run on demand."""

import signal

import pytest


def pytest_configure():
    # What runs in the background of a shell, or under nohup, inherits SIGINT or SIGHUP ignored, and so would the
    # programs that tests send them to.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def own_register(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))


def pytest_collection_modifyitems(config, items):
    if "slow" not in config.getoption("markexpr"):
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="slow; run it with -m slow"))
