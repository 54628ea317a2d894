"""What holds for all tests: no run enters the user's register, slow tests run on demand, processors are kept busy."""

import os
import signal

import pytest


def pytest_configure():
    # What runs in the background of a shell, or under nohup, inherits SIGINT or SIGHUP ignored, and so would the
    # programs that tests send them to.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_xdist_auto_num_workers():
    # Tests of the console and of what hangs wait for a third of their time.
    return len(os.sched_getaffinity(0)) + 1


@pytest.fixture(autouse=True)
def own_register(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))


def pytest_collection_modifyitems(config, items):
    if "slow" not in config.getoption("markexpr"):
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="slow; run it with -m slow"))
