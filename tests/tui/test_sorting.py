"""Orders of every list and of the live table: what stands first, and which column the header marks."""

from dataclasses import replace

import pytest
from console import LARGE, MEDIUM, SMALL, answers_with, assert_shows, drive, shows, until
from run_folders import NAMES, plan_of, tensor, whole_run, write_run
from tui_files import write_playbook
from variants import variants

from aprtui.core.events import GateFinished, RunFinished, RunStarted, TensorFinished
from aprtui.core.outcomes import Outcome
from aprtui.store.row_order import SortKey

GOOD = GateFinished("F-CONV-S-G", Outcome.CORROBORATED, "equal", "e1", 1)
BAD = replace(GOOD, outcome=Outcome.FALSIFIED)


def header(app):
    return app.screen.table.render_line(0).text


def marked(app):
    """The title with a mark, and the mark; the title may hold a blank."""
    columns = app.screen.table.source.columns(app.screen.table.size.width)
    found = [(column.title, column.sort.value) for column in columns if column.sort]
    assert len(found) <= 1
    if found:
        assert "".join(found[0]) in header(app), header(app)
    return found[0] if found else ("", "")


def first_cells(app):
    source = app.screen.table.source
    return [source.cells(at)[0][0] for at in range(len(source))]


@pytest.mark.parametrize("comparisons", [("S>G", "S>A"), ("S>G",)])
@variants("size", [SMALL, LARGE, MEDIUM])
def test_the_live_table_is_sorted_by_every_column_and_shows_what_by(size, comparisons, tmp_path):
    events = whole_run()
    events[3] = TensorFinished("S~S>G", tensor(NAMES[0], target="F16", differing=9, shape=(15000, 1536), nbytes=7_000))
    events[4] = TensorFinished("S~S>G", tensor(NAMES[1], target="IQ1_S", differing=70, shape=(9, 9)))
    folder = write_run(tmp_path, events, comparisons=comparisons)
    expected = {
        SortKey.WORST: "ST▼",
        SortKey.NAME: "TENSOR▲",
        SortKey.FILE_ORDER: "WHERE▲",
        SortKey.SHAPE: "SHAPE▼",
        SortKey.TYPE: "TYPES▲",
        SortKey.MAX_ABS: "MAX|Δ|▼",
        SortKey.ULP: "MAX ULP▼",
        SortKey.EPSILON: "ε FROM▼",
        SortKey.MARGIN: "MARGIN▼",
        SortKey.SIZE: "BYTES▼",
    }
    first = {
        SortKey.SHAPE: "[15000,1536]",
        SortKey.ULP: " 1000 ",
        SortKey.EPSILON: "≤0.99 rule",
        SortKey.SIZE: "100 kB",
    }

    async def body(app, pilot):
        seen = []
        for _ in SortKey:
            key = app.screen.order.key
            seen.append(key)
            if key is SortKey.FILE_ORDER and len(comparisons) == 1:
                assert marked(app) == ("", "")
                assert_shows(app, "by file order")
                await pilot.press("s")
                continue
            assert "".join(marked(app)) == expected[key]
            assert first.get(key, "") in app.screen.table.render_line(1).text, key
            assert all(title in header(app) for title in ("TENSOR", "ε FROM", "MARGIN")), header(app)
            await pilot.press("S")
            assert marked(app) == (expected[key][:-1], "▼" if key.is_ascending else "▲")
            await pilot.press("S", "s")
        assert set(seen) == set(SortKey)
        assert app.screen.order.key is SortKey.WORST

    drive(body, size=size, run=folder.path)


def test_playbooks_are_sorted_by_name_last_run_and_result(playbooks, tmp_path):
    write_playbook(playbooks, name="broken", keys="aprtui:\n  nonsense: 1\n")
    other = tmp_path / "another-folder"
    other.mkdir()
    paths = {name: write_playbook(other, name=name) for name in ("alpha", "zeta")}
    ends = {"alpha": (BAD, RunFinished(1)), "zeta": ()}
    for number, (name, end) in enumerate(ends.items()):
        run_id = f"2026010{number + 1}-000000-{name}"
        plan = plan_of(tmp_path, playbook=paths[name], run_id=run_id)
        write_run(tmp_path, [RunStarted("h", 1), *end], plan=plan, run_id=run_id)

    async def body(app, pilot):
        await until(pilot, lambda: len(app.runs) == 2)
        await pilot.press("escape")
        orders = []
        for _ in range(3):
            orders.append((*marked(app), first_cells(app)))
            await pilot.press("s")
        by_name, by_run, by_result = orders
        assert by_name == ("PLAYBOOK", "▲", ["alpha", "broken", "demo", "zeta"])
        assert by_run[:2] == ("LAST RUN", "▼")
        assert set(by_run[2][:2]) == {"alpha", "zeta"}
        assert by_result == ("RESULT", "▼", ["alpha", "zeta", "broken", "demo"])
        await pilot.press("S")
        assert (*marked(app), first_cells(app)) == ("PLAYBOOK", "▼", ["zeta", "demo", "broken", "alpha"])

    drive(body, playbooks=[playbooks, other])


def test_playbooks_whose_last_run_died_are_failures(playbooks, tmp_path):
    path = write_playbook(playbooks, name="dead")
    write_run(tmp_path, [RunStarted("h", 1)], plan=plan_of(tmp_path, playbook=path))

    async def body(app, pilot):
        await until(pilot, lambda: shows(app, "! died"))
        await pilot.press("f")
        assert first_cells(app) == ["dead"]

    drive(body, playbooks=[playbooks])


def test_runs_are_sorted_by_age_playbook_and_result(tmp_path):
    wanted = {"20260101-000000-aaaa": ("zeta", (BAD, RunFinished(1))), "20260103-000000-cccc": ("beta", ())}
    wanted["20260102-000000-bbbb"] = ("alpha", (GOOD, RunFinished(0)))
    for run_id, (name, end) in wanted.items():
        plan = plan_of(tmp_path, run_id=run_id)
        plan = replace(plan, playbook=replace(plan.playbook, name=name))
        write_run(tmp_path, [RunStarted("h", 1), *end], plan=plan, run_id=run_id)

    async def body(app, pilot):
        await until(pilot, lambda: len(app.runs) == 3)
        await pilot.press("escape", "3")
        orders = []
        for _ in range(3):
            orders.append((*marked(app), "".join(run[-1] for run in first_cells(app))))
            await pilot.press("s")
        assert orders == [("RUN", "▼", "cba"), ("PLAYBOOK", "▲", "bca"), ("RESULT", "▼", "acb")]
        await pilot.press("S")
        assert (*marked(app), "".join(run[-1] for run in first_cells(app))) == ("RUN", "▲", "abc")

    drive(body)


def test_models_are_sorted_by_name_parameters_and_size(playbooks, monkeypatch):
    def model(name, parameters, nbytes):
        facts = {"format": "gguf", "architecture": "llama", "parameters": parameters, "bytes": nbytes}
        return {"name": name, "path": f"/models/{name}", "facts": facts}

    models = [model("zeta", 3, 10), model("alpha", 2, 30), model("mid", 1, 20)]
    answers_with(monkeypatch, "aprtui.tui.screens.models.ask", [{"place": "cache", "models": models}])

    async def body(app, pilot):
        await pilot.press("2")
        await until(pilot, lambda: shows(app, "zeta"))
        orders = []
        for _ in range(3):
            orders.append((*marked(app), first_cells(app)))
            await pilot.press("s")
        assert orders == [
            ("MODEL", "▲", ["alpha", "mid", "zeta"]),
            ("PARAMS", "▼", ["zeta", "alpha", "mid"]),
            ("SIZE", "▼", ["alpha", "mid", "zeta"]),
        ]
        await pilot.press("S")
        assert (*marked(app), first_cells(app)) == ("MODEL", "▼", ["zeta", "mid", "alpha"])

    drive(body, playbooks=[playbooks])
