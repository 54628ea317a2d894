"""What a run took: pauses, and what judged it again later, are no part of that."""

from datetime import timedelta

import pytest
from run_folders import BEGAN, RUN_ID, plan_of
from run_folders import RunFolder as Folder

from aprtui.core.events import Heartbeat, JournalLine, RunFinished, RunInterrupted, RunStarted, TolerancesChanged
from aprtui.core.tolerance import ToleranceSettings
from aprtui.store.progress import progress_of
from aprtui.store.run_list import summarise
from aprtui.store.run_view import RunView

START, END, STOP = RunStarted("h", 1), RunFinished(1), RunInterrupted("SIGINT")
AGAIN = RunStarted("h", 2, resumed=True)
JUDGED = TolerancesChanged(ToleranceSettings(ulp=2.0))


@pytest.mark.parametrize(
    ("events", "seconds"),
    [
        ([(0, START), (2, END)], 2),
        ([(0, START), (2, END), (44, JUDGED), (45, END)], 2),
        ([(0, START), (3, STOP), (3600, AGAIN), (3602, END)], 5),
        ([(0, START), (5, Heartbeat(())), (3600, AGAIN), (3602, END)], 7),  # the first engine died
    ],
)
def test_time_that_engines_worked(events, seconds, tmp_path):
    folder = Folder(tmp_path / "runs" / RUN_ID)
    folder.path.mkdir(parents=True)
    folder.write_plan(plan_of(tmp_path))
    lines = (JournalLine(RUN_ID, at, BEGAN + timedelta(seconds=when), event) for at, (when, event) in enumerate(events))
    folder.journal.write_bytes(b"".join(line.to_bytes() for line in lines))
    view = RunView(folder)
    view.read(5.0)
    assert progress_of(view).seconds == seconds
    assert summarise(folder).seconds == seconds
