"""Lists of playbooks, models and runs: order, failures, marks, what is compared with what; following folders."""

import shutil
from dataclasses import replace

import pytest
from console import LARGE, SMALL, answers_with, assert_shows, drive, shows, text_of, until
from run_folders import NAMES, RUN_ID, plan_of, whole_run, write_run
from tui_files import write_playbook
from variants import variants

from aprtui.core.events import (
    GateFinished,
    RunFinished,
    RunStarted,
)
from aprtui.core.outcomes import Outcome
from aprtui.playbook import load_playbook
from aprtui.tui.screens.compare import ChooseRunDialog, CompareScreen
from aprtui.tui.widgets.row_table import RowTable

COMPARED = {
    "circumstances": [{"what": "converter"}],
    "gates": [
        {"gate": "F-CONV-A-G", "change": "gone", "before": "Corroborated", "after": None},
        {"gate": "F-CONV-S-G", "change": "broken", "before": "Corroborated", "after": "Falsified"},
        {"gate": "F-CONV-S-A", "change": "fixed", "before": "Falsified", "after": "Corroborated"},
    ],
    "levels": [{"comparison": "S~S>G", "level": "weights", "before": "Skipped", "after": "Falsified"}],
    "tensors": [
        {
            "comparison": "S~S>G",
            "name": NAMES[2],
            "before": {"outcome": "Corroborated", "margin": -0.5, "unit": "ULP"},
            "after": {"outcome": "Falsified", "margin": 12345678, "unit": "differing elements"},
        }
    ],
}


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_two_runs_side_by_side(size, tmp_path, monkeypatch):
    before = write_run(tmp_path, whole_run(), run_id="20260101-000000-bbbb")
    after = write_run(tmp_path, whole_run())
    asked = answers_with(monkeypatch, "aprtui.tui.screens.compare.ask", COMPARED)

    async def body(app, pilot):
        await pilot.press("c", "enter")
        assert isinstance(app.screen, CompareScreen)
        await until(pilot, lambda: shows(app, "broken"))
        lines = [line for line in text_of(app) if any(word in line for word in ("broken", "fixed", "gone"))]
        # What broke, the worst first; by how much, whole; then what was fixed, and what is gone.
        assert [line.strip("▌ ").split()[0] for line in lines] == ["broken", "broken", "broken", "fixed", "gone"]
        assert "F-CONV-S-G" in lines[0] and "-0.5 ULP" in lines[1] and "12.3M elem" in lines[1] and "S→G" in lines[1]
        assert "level weights" in lines[2] and "F-CONV-A-G" in lines[4]
        assert_shows(app, "also different: converter")
        assert asked == [["compare", str(before.path), str(after.path), "--format", "json"]]

    drive(body, run=after.path, size=size)


def test_a_change_opens_where_it_was_measured(tmp_path, monkeypatch):
    before = write_run(tmp_path, whole_run(), run_id="20260101-000000-bbbb")
    after = write_run(tmp_path, whole_run())
    answers_with(monkeypatch, "aprtui.tui.screens.compare.ask", COMPARED)

    async def body(app, pilot):
        for downs, run, subject in ((1, after, NAMES[2]), (4, before, "")):
            await pilot.press("c", "enter")
            await until(pilot, lambda: shows(app, "gone"))
            await pilot.press(*["j"] * downs, "enter")
            await until(pilot, lambda: app.current_mode == "diff" and len(app.screen_stack) == 1)
            await until(pilot, lambda run=run: app.current.folder.path == run.path and app.follower.caught_up)
            if subject:
                await until(pilot, lambda subject=subject: app.screen.row.name == subject)
        await pilot.press("c", "enter")
        await until(pilot, lambda: shows(app, "gone"))
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "diff" and app.screen.chosen_gate == "F-CONV-S-G")

    drive(body, run=after.path)


def test_a_change_is_shown_though_a_filter_hides_it(tmp_path, monkeypatch):
    write_run(tmp_path, whole_run(), run_id="20260101-000000-bbbb")
    after = write_run(tmp_path, whole_run())
    asked = answers_with(monkeypatch, "aprtui.tui.screens.compare.ask", COMPARED)

    async def body(app, pilot):
        await pilot.press("slash", *"mlp", "enter", "f", "c", "enter")
        await until(pilot, lambda: shows(app, "gone"))
        await pilot.press("j", "enter")
        await until(pilot, lambda: app.current_mode == "diff" and app.screen.row.name == NAMES[2])
        assert not shows(app, "/mlp")
        # From the change back to the changes, where they were left, and from there to the run.
        await pilot.press("escape")
        assert isinstance(app.screen, CompareScreen)
        await until(pilot, lambda: app.screen.query_one(RowTable).cursor == 1 and shows(app, "gone"))
        await pilot.press("j", "enter")
        await until(pilot, lambda: app.current_mode == "diff" and len(app.screen_stack) == 1)
        await pilot.press("slash", "x", "escape", "escape")
        assert isinstance(app.screen, CompareScreen) and app.screen.query_one(RowTable).cursor == 2
        await pilot.press("escape", "escape")
        assert app.current_mode == "diff" and len(app.screen_stack) == 1
        # A view that was asked for by its key leads back to no comparison.
        await pilot.press("c", "enter")
        await until(pilot, lambda: shows(app, "gone"))
        await pilot.press("j", "enter")
        await until(pilot, lambda: app.current_mode == "diff" and app.screen.row.name == NAMES[2])
        await pilot.press("3", "4", "escape")
        assert app.current_mode == "diff" and len(app.screen_stack) == 1
        assert len(asked) == 2

    drive(body, run=after.path)


def test_a_run_to_compare_with_is_chosen_from_any_number(tmp_path, monkeypatch):
    ids = [f"202601{day:02}-000000-{day:04x}" for day in range(1, 31)]
    for run_id in ids:
        write_run(tmp_path, whole_run(), run_id=run_id, playbook=f"p-{run_id[6:8]}.playbook.yaml")
    after = write_run(tmp_path, whole_run(), run_id="20260201-000000-ffff")
    asked = answers_with(monkeypatch, "aprtui.tui.screens.compare.ask", COMPARED)

    async def body(app, pilot):
        await pilot.press("c")
        assert_shows(app, "Compare 20260201-000000-ffff with", ids[-1], "✗ 1", "╰")
        await pilot.press("G")
        assert_shows(app, ids[0], "esc cancel")
        await pilot.press("enter")
        await until(pilot, lambda: asked)
        assert asked[0][1].endswith(ids[0]) and asked[0][2] == str(after.path)

    drive(body, run=after.path)


def test_runs_that_crashed_or_died_are_failures_too(tmp_path):
    crashed = GateFinished("F-CONV-S-G", Outcome.CRASHED, "the worker died", "e1", 1)
    write_run(tmp_path, [RunStarted("h", 1), crashed, RunFinished(3)])
    died = "20260102-030406-dead"
    write_run(tmp_path, [RunStarted("h", 1)], run_id=died)
    good = GateFinished("F-CONV-S-G", Outcome.CORROBORATED, "equal", "e1", 1)
    write_run(tmp_path, [RunStarted("h", 1), good, RunFinished(0)], run_id="20260102-030407-900d")

    async def body(app, pilot):
        await until(pilot, lambda: len(app.runs) == 3)
        await pilot.press("escape", "3", "f")
        await pilot.pause()
        assert_shows(app, RUN_ID, died, "2 of 3")
        assert not shows(app, "900d")

    drive(body)


def test_playbooks_whose_run_died_are_failures_and_every_order_marks_its_column(tmp_path, playbooks):
    died, good = write_playbook(playbooks, name="zz-died"), write_playbook(playbooks, name="aa-good")
    write_run(tmp_path, [RunStarted("h", 1)], run_id="20260102-030406-dead", playbook=died)
    verdict = GateFinished("F-CONV-S-G", Outcome.CORROBORATED, "equal", "e1", 1)
    write_run(tmp_path, [RunStarted("h", 1), verdict, RunFinished(0)], run_id="20260102-030407-900d", playbook=good)

    async def body(app, pilot):
        await until(pilot, lambda: shows(app, "! died"))
        assert_shows(app, "PLAYBOOK▲")
        for title in ("LAST RUN▼", "RESULT▼"):
            await pilot.press("s")
            await pilot.pause()
            assert_shows(app, title)
        first = text_of(app)
        assert first.index(next(line for line in first if "zz-died" in line)) < first.index(
            next(line for line in first if "aa-good" in line)
        )
        await pilot.press("S")
        await pilot.pause()
        last = "\n".join(text_of(app))
        assert last.index("aa-good") < last.index("zz-died")
        await pilot.press("f")
        await pilot.pause()
        assert_shows(app, "zz-died", "fails only")
        assert not shows(app, "aa-good")

    drive(body, playbooks=[playbooks])


def test_runs_and_models_are_sorted(tmp_path, monkeypatch):
    for run_id, name in (("20260101-000000-aaaa", "b"), ("20260102-000000-bbbb", "a")):
        write_run(tmp_path, whole_run(), run_id=run_id, playbook=f"{name}.playbook.yaml")
    facts = [{"format": "GGUF", "bytes": size, "parameters": 1} for size in (5, 9)]
    models = [{"name": f"m{at}", "path": f"/m{at}", "facts": one} for at, one in enumerate(facts)]
    answers_with(monkeypatch, "aprtui.tui.screens.models.ask", [{"place": "cache", "models": models}])

    async def body(app, pilot):
        await until(pilot, lambda: len(app.runs) == 2)

        def order(*words):
            screen = "\n".join(text_of(app))
            return sorted(words, key=screen.index)

        for view, words, sorts in (("3", ("aaaa", "bbbb"), 1), ("2", ("/m0", "/m1"), 2)):
            await pilot.press("escape", view)
            await until(pilot, lambda words=words: shows(app, words[1][-2:]))
            await pilot.press(*["s"] * sorts)
            forward = list(app.screen.source.shown)
            await pilot.press("S")
            assert list(app.screen.source.shown) == forward[::-1] and len(forward) == 2
        names = [model["name"] for model in app.screen.source.shown]
        assert names == ["m0", "m1"], "by bytes, reversed"

    drive(body)


@pytest.mark.parametrize("view", ["1", "2", "4"])
def test_only_runs_are_marked(view, tmp_path, playbooks):
    folder = write_run(tmp_path, whole_run())

    async def body(app, pilot):
        await pilot.press(view, "space")
        assert not app.screen.table.marked and not any("*" in line[:2] for line in text_of(app))
        await pilot.press("3", "space")
        assert app.screen.table.marked == {0} and shows(app, "1 marked")

    drive(body, run=folder.path, playbooks=[playbooks])


@variants("order", ["", "ssS", "S", "s"], always=2)
def test_two_marked_runs_are_compared_the_earlier_first(order, tmp_path, monkeypatch):
    runs = [write_run(tmp_path, whole_run(), run_id=f"2026010{day}-000000-aaaa") for day in (1, 2, 3)]
    asked = answers_with(monkeypatch, "aprtui.tui.screens.compare.ask", {})

    async def body(app, pilot):
        await pilot.press("3", "space", "j", "j", "space", *order)
        assert sum(line.startswith((" *", "▌*")) for line in text_of(app)) == 2
        await pilot.press("c")
        assert isinstance(app.screen, CompareScreen)
        await until(pilot, lambda: shows(app, "nothing changed from one run to the other"))
        assert asked == [["compare", str(runs[0].path), str(runs[2].path), "--format", "json"]]
        await pilot.press("escape", "g", "j", "space", "c")
        assert app.messages[-1][1] == "c compares two marked runs, not 3: esc clears the marks"
        await pilot.press("space", "g", "space", "c")
        # One mark is no pair: the chosen run with one that is asked for.
        assert isinstance(app.screen, ChooseRunDialog)

    drive(body)


def test_the_earlier_of_two_marked_runs_comes_first_in_any_order_and_marks_outlive_a_filter(tmp_path, monkeypatch):
    ids = [f"2026010{day}-000000-aaaa" for day in (1, 2, 3)]
    folders = [write_run(tmp_path, whole_run(), run_id=run_id) for run_id in ids]
    asked = answers_with(monkeypatch, "aprtui.tui.screens.compare.ask", COMPARED)

    async def body(app, pilot):
        await until(pilot, lambda: len(app.runs) == 3)
        await pilot.press("escape", "3", "S", "space", "slash", *"20260103", "enter", "space")
        assert_shows(app, "2 marked", "1 of 3")
        await pilot.press("c")
        await until(pilot, lambda: asked)
        assert asked[0][1:3] == [str(folders[0].path), str(folders[2].path)]
        await pilot.press("escape", "escape", "g", "j", "space", "c")
        await pilot.pause()
        assert_shows(app, "3 marked")
        assert app.messages[-1][1].startswith("c compares two marked runs, not 3")
        assert len(app.screen_stack) == 1

    drive(body)


def test_the_list_of_playbooks_follows_its_folders(playbooks, monkeypatch):
    monkeypatch.setattr("aprtui.tui.services.lists._LOOK_S", 0.1)
    path = write_playbook(playbooks, "aprtui:\n  tolerance:\n    ulpp: 2\n")

    async def body(app, pilot):
        await until(pilot, lambda: shows(app, "! line 9"))
        write_playbook(playbooks)
        await until(pilot, lambda: not shows(app, "! line 9"))
        write_playbook(playbooks, name="another")
        await until(pilot, lambda: shows(app, "another"))
        path.unlink()
        await until(pilot, lambda: not shows(app, " demo "))

    drive(body, playbooks=[playbooks])


def test_a_run_of_another_playbook_than_the_one_of_now_is_old(tmp_path, playbooks):
    path = playbooks / "demo.playbook.yaml"
    plan = plan_of(tmp_path, playbook=path)
    facts = replace(plan.playbook, fingerprint=load_playbook(path).fingerprint)
    write_run(tmp_path, whole_run(), plan=replace(plan, playbook=facts))

    async def fresh(app, pilot):
        assert_shows(app, "✗ 1 FAIL of 2")
        assert not shows(app, "of 2 old")

    async def old(app, pilot):
        assert_shows(app, "✗ 1 FAIL of 2 old")

    drive(fresh, playbooks=[playbooks])
    write_playbook(playbooks, "aprtui:\n  outtype: f16\n")
    drive(old, playbooks=[playbooks])


def test_a_run_that_cannot_be_shown_any_more_leads_back_to_no_comparison(tmp_path, monkeypatch):
    """The screen of changes stays; leaving it leaves it for good."""
    before = write_run(tmp_path, whole_run(), run_id="20260101-000000-bbbb")
    after = write_run(tmp_path, whole_run())
    answers_with(monkeypatch, "aprtui.tui.screens.compare.ask", COMPARED)

    async def body(app, pilot):
        await pilot.press("c", "enter")
        await until(pilot, lambda: shows(app, "gone"))
        shutil.rmtree(before.path)
        await pilot.press("G", "enter")
        await until(pilot, lambda: shows(app, "This run cannot be shown"))
        await pilot.press("escape", "escape", "escape")
        assert app.current_mode == "diff" and len(app.screen_stack) == 1

    drive(body, run=after.path)
