"""Rows that were kept beside a journal: the same as those read from it, and never any others."""

import json
import random

import pytest
from run_folders import NAMES, alive, append, journal_bytes, tensor, whole_run, write_run

from aprtui.core.events import ComparisonStarted, Heartbeat, RunResumed, TensorFinished, TolerancesChanged
from aprtui.core.tolerance import ToleranceSettings
from aprtui.store import row_cache
from aprtui.store.row_cache import read_rows, write_rows
from aprtui.store.run_view import RunView


@pytest.fixture(autouse=True)
def short_journals_are_worth_it(monkeypatch):
    monkeypatch.setattr(row_cache, "_WORTH_IT", 0)


def read(folder):
    view = RunView(folder)
    while view.read(1.0).more:
        pass
    return view


def state(view):
    return view.columns, view.comparisons, view.gates, view.log, view.passed_over, view.end, view.running


def mixed_run():
    """Two comparisons at once, one of them begun again, a tensor twice, and lines that are damaged."""
    results = random.Random(3)
    events = [*whole_run(), ComparisonStarted("S~S>A", 0), ComparisonStarted("S~S>G", 0)]
    for name in NAMES * 2:
        for comparison in ("S~S>G", "S~S>A", "S~gone"):
            violations, nan = results.choice((0, 0, 4)), results.choice((0, 0, 1))
            events.append(TensorFinished(comparison, tensor(name, violations=violations, nan=nan)))
        events.append(Heartbeat(("S~S>A",)))
    events.append(RunResumed((), "", ("S~S>A",)))
    return [*events, *(TensorFinished("S~S>G", tensor(name)) for name in reversed(NAMES))]


def with_damage(folder):
    lines = folder.journal.read_bytes().splitlines(keepends=True)
    hostile = lines[20].replace(b'"nbytes":100000', b'"nbytes":1' + b"0" * 30)
    lines[18:18] = [b"\xff\n", hostile, b"[" * 5000 + b"\n", lines[20].replace(b'"shape":[', b'"shape":[null,')]
    folder.journal.write_bytes(b"".join(lines))


@pytest.mark.parametrize("damaged", [False, True])
@pytest.mark.parametrize("block", [1, 3, 4096])
def test_rows_are_the_same_as_from_the_journal(tmp_path, monkeypatch, block, damaged):
    monkeypatch.setattr(row_cache, "_BLOCK", block)
    folder = write_run(tmp_path, mixed_run(), engine=alive(), comparisons=("S>G", "S>A"))
    if damaged:
        with_damage(folder)
    plain = read(folder)
    write_rows(folder)
    assert len(read_rows(folder, 2).ends) >= 6 * len(NAMES)
    assert state(read(folder)) == state(plain)
    assert read(folder).tensor(0) == plain.tensor(0) is not None


def test_what_came_after_is_read_from_the_journal(tmp_path):
    folder = write_run(tmp_path, mixed_run(), engine=alive(), comparisons=("S>G", "S>A"))
    write_rows(folder)
    more = [
        TensorFinished("S~S>G", tensor(NAMES[1], target="F16", differing=2)),
        TolerancesChanged(ToleranceSettings(ulp=4.0, origin="p.yaml, line 9")),
    ]
    append(folder, more, 500)
    view = read(folder)
    folder.rows.unlink()
    assert state(view) == state(read(folder))
    assert view.columns.limits[view.columns.tensor(0, NAMES[1])] == 4.0


def test_a_screen_takes_them_in_slices(tmp_path, monkeypatch):
    monkeypatch.setattr(row_cache, "_BLOCK", 2)
    folder = write_run(tmp_path, whole_run())
    write_rows(folder)
    view, looks = RunView(folder), 0
    while view.read(0.0).more:
        looks += 1
    assert looks > len(NAMES) // 2
    assert view.columns == read(folder).columns


def test_another_journal_has_no_use_for_them(tmp_path):
    folder = write_run(tmp_path, whole_run())
    write_rows(folder)
    raw = folder.journal.read_bytes()
    assert read_rows(folder, 1) is not None
    folder.journal.write_bytes(raw.replace(b'"Falsified"', b'"Skipped00"', 1))
    assert read_rows(folder, 1) is None
    folder.journal.write_bytes(raw[:-1])
    assert read_rows(folder, 1) is None
    folder.journal.unlink()
    assert read_rows(folder, 1) is None


def test_what_is_cut_or_hostile_is_passed_over(tmp_path):
    folder = write_run(tmp_path, whole_run())
    write_rows(folder)
    good = folder.rows.read_bytes()
    head, _, body = good.partition(b"\n")
    facts = json.loads(head)
    before = state(read(folder))

    def changed(**other):
        return json.dumps(facts | other).encode() + b"\n" + body

    count = facts["rows"]
    texts = facts["texts"]
    bad = [
        *(good[:size] for size in (0, 1, len(head), len(head) + 1, len(good) - 1)),
        good + b"\0",
        head + b"\n" + b"\xff" * len(body),
        b"[" * 20_000 + b"\n",
        b"7\n",
        good + bytes(folder.journal.stat().st_size),
        *(changed(rows=rows) for rows in (-1, 0, count - 1, count + 1, 10**15, 1.5, None)),
        *(changed(journal_bytes=size) for size in (-1, 0, 10**18, 0.5, "1", None)),
        *(changed(texts=found) for found in ([], texts[:-1], [1] * len(texts), None, {})),
        *(changed(shapes=found) for found in ([], [["a"]], [None], 3)),
        changed(format="aprtui rows 0"),
        changed(byteorder="middle"),
        changed(digest=""),
        head + b"\n" + bytes([16]) + body[1:],
        head + b"\n" + body[:count] + b"\7\0\0\0" + body[count + 4 :],
        good[:-8] + b"\xff" * 8,
    ]
    for raw in bad:
        folder.rows.write_bytes(raw)
        assert read_rows(folder, 1) is None, raw[:200]
        assert state(read(folder)) == before
    folder.rows.write_bytes(good)
    assert read_rows(folder, 1) is not None
    assert read_rows(folder, 0) is None


def test_nothing_is_written_for_a_short_journal_or_where_nothing_can_be(tmp_path, monkeypatch):
    folder = write_run(tmp_path, whole_run())
    monkeypatch.setattr(row_cache, "_WORTH_IT", len(journal_bytes(whole_run())) + 1)
    write_rows(folder)
    assert not folder.rows.exists()
    monkeypatch.setattr(row_cache, "_WORTH_IT", 0)
    folder.rows.mkdir()
    write_rows(folder)
    assert not list(folder.path.glob("*.part"))
    assert read_rows(folder, 1) is None
