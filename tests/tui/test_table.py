"""The live table: rows that stay where they are, keys that walk over failures, and what costs time."""

from dataclasses import replace

import pytest
from console import LARGE, SMALL, assert_shows, drive, shows, text_of, until
from run_folders import NAMES, alive, append, journal_bytes, plan_of, tensor, whole_run, write_run

from aprtui.core.events import ComparisonFinished, ComparisonStarted, RunFinished, RunStarted, TensorFinished
from aprtui.core.outcomes import Level, Outcome
from aprtui.store.plan import PlannedComparison
from aprtui.store.row_order import RowOrder, SortKey
from aprtui.store.run_view import RunView
from aprtui.tui.services import follow
from aprtui.tui.widgets.tensor_source import TensorSource
from aprtui.tui.words import margin_text


def live_run(tmp_path):
    return write_run(tmp_path, [RunStarted("h", 1), ComparisonStarted("S~S>G", 0)], engine=alive())


async def with_inventory(app):
    app.current.take_inventory(NAMES)
    app.current.columns.changed.clear()
    app.screen.show_run(app.current)


def name_under_cursor(app):
    return app.screen.row.name


def test_rows_stay_under_the_cursor_while_results_come(tmp_path):
    folder = live_run(tmp_path)

    async def body(app, pilot):
        await with_inventory(app)
        await pilot.press("j", "j")
        assert name_under_cursor(app) == NAMES[2]
        for number, name in enumerate((NAMES[5], NAMES[0], NAMES[2])):
            append(folder, [TensorFinished("S~S>G", tensor(name, violations=50 - number))], 2 + number)
        await until(pilot, lambda: shows(app, "3 new, order held: . sorts"))
        assert app.screen.table.cursor == 2
        assert name_under_cursor(app) == NAMES[2]
        await pilot.press("full_stop")
        assert name_under_cursor(app) == NAMES[2]
        assert [app.current.columns.names[one] for one in app.screen.order.numbers[:3]] == [
            NAMES[5],
            NAMES[0],
            NAMES[2],
        ]

    drive(body, run=folder.path)


@pytest.mark.parametrize("moves", [False, True])
def test_a_long_journal_that_is_read_in_slices_is_shown_whole(tmp_path, monkeypatch, moves):
    monkeypatch.setattr(follow, "_FIRST_SLICE_S", 0.0)
    names = [f"blk.{number}.weight" for number in range(150)]
    folder = write_run(tmp_path, whole_run(names))

    async def body(app, pilot):
        app.open_run(folder)
        await until(pilot, lambda: len(app.current.columns) > 50)
        assert not app.follower.caught_up
        if moves:
            app.screen.table.move(3)
            held = name_under_cursor(app)
        await until(pilot, lambda: app.follower.caught_up)
        order = app.screen.order
        assert sorted(order.numbers) == list(range(len(names) + 2))
        if moves:
            assert name_under_cursor(app) == held
            await pilot.press("full_stop")
        whole = RowOrder(app.current.columns)
        whole.show(None)
        assert order.numbers == whole.numbers
        assert "152 of 152" in text_of(app)[1]

    drive(body)


def test_until_somebody_moves_the_worst_row_is_first(tmp_path):
    folder = live_run(tmp_path)

    async def body(app, pilot):
        await with_inventory(app)
        append(folder, [TensorFinished("S~S>G", tensor(NAMES[4], violations=3))], 2)
        await until(pilot, lambda: name_under_cursor(app) == NAMES[4])
        await pilot.pause()
        first = next(line for line in text_of(app) if "▌" in line)
        assert "input_layernorm" in first

    drive(body, run=folder.path)


def test_at_the_end_of_a_run_rows_are_sorted_and_void_ones_are_gone(tmp_path):
    """A comparison that was never made leaves the rows that waited for it without a meaning."""
    events = [RunStarted("h", 1), ComparisonStarted("S~S>G", 0), ComparisonStarted("S~S>A", 0)]
    folder = write_run(tmp_path, events, engine=alive(), comparisons=("S>G", "S>A"))
    results = [TensorFinished("S~S>G", tensor(name, violations=3 * (name == NAMES[4]))) for name in NAMES]
    ends = [
        ComparisonFinished("S~S>A", Outcome.SKIPPED, "no converter"),
        ComparisonFinished("S~S>G", Outcome.FALSIFIED, "NOT EQUIVALENT"),
        RunFinished(1),
    ]

    async def body(app, pilot):
        await with_inventory(app)
        await until(pilot, lambda: shows(app, "12 of 12"))
        append(folder, results[:1], 3)
        await until(pilot, lambda: shows(app, "5 wait") or shows(app, "11 wait"))
        append(folder, [*results[1:], *ends], 4)
        await until(pilot, lambda: shows(app, "7 of 7"))
        rows = [line for line in text_of(app)[5:-2] if line.strip()]
        assert ["SKIP" in line or "FAIL" in line for line in rows[:2]] == [True, True]
        assert "input_layernorm" in rows[0] and len(rows) == 7
        assert not shows(app, "void")

    drive(body, run=folder.path)


def test_void_rows_are_no_failures_where_the_order_is_held(tmp_path):
    events = [RunStarted("h", 1), ComparisonStarted("S~S>G", 0)]
    folder = write_run(tmp_path, events, engine=alive())

    async def body(app, pilot):
        await with_inventory(app)
        await pilot.press("j")
        append(folder, [ComparisonFinished("S~S>G", Outcome.SKIPPED, "no converter"), RunFinished(5)], 2)
        await until(pilot, lambda: shows(app, "7 of 7"))
        assert_shows(app, "  void model.embed_tokens.weight", "+ 1 new, order held")
        assert not any("✗" in line for line in text_of(app)[5:-2])
        await pilot.press("full_stop")
        assert_shows(app, "1 of 1")
        assert not shows(app, "void")

    drive(body, run=folder.path)


def test_a_filter_that_cannot_be_read_stays_open(tmp_path):
    folder = write_run(tmp_path, whole_run())

    async def body(app, pilot):
        await pilot.press("slash", *"margin", "greater_than_sign", "x", "enter")
        assert_shows(app, "margin>x")
        assert app.screen.query_one("#filter").has_focus
        await pilot.press("backspace", "1", "enter")
        assert not app.screen.query_one("#filter").has_focus
        await pilot.press("slash", *"nothing", "enter")
        assert_shows(app, "No row matches.", "0 of 8 match · esc clears the filter, f shows all")

    drive(body, run=folder.path)


def test_the_chosen_gate_is_named_where_panes_have_no_title(tmp_path):
    folder = write_run(tmp_path, whole_run())

    async def body(app, pilot):
        assert_shows(app, "F-CONV-S-G  8 of 8")
        await pilot.press("t")
        await pilot.pause()
        assert_shows(app, "SafeTensors converted to GGUF: ")
        await pilot.press("i")
        await pilot.pause()
        assert_shows(
            app, "Verdict of F-CONV-S-G", "✗ FAIL", "NOT EQUIVALENT: weights different", "asks: every level holds"
        )
        await pilot.press("escape", "escape")
        await pilot.pause()
        assert not shows(app, "SafeTensors converted to GGUF: ")

    drive(body, run=folder.path, gate="F-CONV-S-G")


def test_failures_only_filter_and_sort_compose(tmp_path):
    folder = write_run(tmp_path, whole_run())

    async def body(app, pilot):
        await pilot.press("f")
        assert_shows(app, "fails only", "6 of 8")
        await pilot.press("slash", *"proj", "enter")
        assert_shows(app, "fails only  /proj  2 of 8")
        await pilot.press("s", "S")
        assert app.screen.order.key is SortKey.NAME
        assert app.screen.order.reverse
        await pilot.press("escape")
        assert_shows(app, "fails only  6 of 8")

    drive(body, run=folder.path)


def test_n_walks_over_failures(tmp_path):
    folder = write_run(tmp_path, whole_run())

    async def body(app, pilot):
        seen = [name_under_cursor(app)]
        for _ in range(5):
            await pilot.press("n")
            seen.append(name_under_cursor(app))
        assert len(set(seen)) == 6
        assert not set(seen) & {NAMES[1], NAMES[4]}
        await pilot.press("n")
        assert app.messages[-1][1] == "no failure after this row"
        await pilot.press("N")
        assert name_under_cursor(app) == seen[-2]

    drive(body, run=folder.path)


def test_a_paused_view_stands_still_and_catches_up(tmp_path):
    folder = live_run(tmp_path)

    async def body(app, pilot):
        await with_inventory(app)
        await pilot.press("p")
        assert_shows(app, "PAUSED")
        append(folder, [TensorFinished("S~S>G", tensor(NAMES[4], violations=3))], 2)
        await until(pilot, lambda: app.current.comparisons[0].tensors_done == 1)
        assert_shows(app, "✗ 0 FAIL")
        await pilot.press("p")
        assert_shows(app, "✗ 1 FAIL")

    drive(body, run=folder.path)


def test_every_row_shows_tolerance_origin_and_margin_in_its_unit(tmp_path):
    events = whole_run()
    events[4] = TensorFinished("S~S>G", tensor(NAMES[1], target="F16", differing=3))
    events[5] = TensorFinished("S~S>G", tensor(NAMES[2], target="F32", differing=31_718))
    events[6] = TensorFinished("S~S>G", tensor(NAMES[3], target="IQ1_S", differing=3))
    folder = write_run(tmp_path, events)

    async def body(app, pilot):
        rows = "\n".join(" ".join(line.split()) for line in text_of(app))
        assert "BF16→F16 0.1 0.5ULP rule +2.5 ULP" in rows
        assert "BF16→F32 0.1 exact rule 31718 elem" in rows
        assert "BF16→Q4_K 0.1 cert rule 4 blocks" in rows
        assert "→IQ1_S 0.1 ≤0.99 rule -0." in rows
        assert all("nrmse" in row for row in rows.splitlines() if "IQ1_S" in row)

    drive(body, run=folder.path)


@pytest.mark.parametrize(
    ("margin", "text"),
    [
        (-1.53e-5, "-2e-05 ULP"),
        (-0.5, "-0.5 ULP"),
        (0.0, "0 ULP"),
        (2.5, "+2.5 ULP"),
        (8_323_238.5, "+8.32M ULP"),
        (1.36e39, "+1e+39 ULP"),
    ],
)
def test_margins_are_short(margin, text, tmp_path):
    view = RunView(write_run(tmp_path, whole_run()))
    view.read(1.0)
    row = replace(view.columns.row(0), unit="ULP", margin=margin)
    assert margin_text(row) == text


def test_of_a_hundred_thousand_rows_those_in_sight_alone_are_made(tmp_path, monkeypatch):
    made = []
    cells = TensorSource.cells
    monkeypatch.setattr(TensorSource, "cells", lambda self, at: made.append(at) or cells(self, at))
    folder = write_run(tmp_path, [RunStarted("h", 1), ComparisonStarted("S~S>G", 0)], engine=alive())
    names = [f"model.layers.{number // 9}.block{number % 9}.weight" for number in range(100_000)]

    async def body(app, pilot):
        app.current.take_inventory(names)
        app.screen.show_run(app.current)
        await pilot.pause()
        assert_shows(app, "100000 of 100000")
        await pilot.press("G")
        assert app.screen.table.cursor == 99_999
        assert 0 < len(made) < 20 * app.screen.table.page

    drive(body, run=folder.path)


def test_what_a_run_wrote_while_it_was_not_shown_is_read_in_slices(tmp_path):
    line = journal_bytes([TensorFinished("S~S>G", tensor("NAME", violations=1))])
    folder = live_run(tmp_path)
    with folder.journal.open("ab") as file:
        for number in range(3000):
            file.write(line.replace(b'"NAME"', f'"layer.{number}"'.encode()))

    async def body(app, pilot):
        assert app.current.comparisons[0].tensors_done == 3000
        assert_shows(app, "3000 of 3000", "✗ 3000 FAIL")

    drive(body, run=folder.path)


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_comparisons_of_the_same_product_are_told_apart(size, tmp_path):
    """A product of two hops is held against its own source and against the model; the longest has four hops."""
    sides = [("S>A", "S>A>G"), ("S", "S>A>G"), ("S>A>G>A", "S>A>G>A>S"), ("S", "S>A>G>A>S"), ("S", "S>G")]
    ids = [f"{source}~{target}" for source, target in sides]
    comparisons = tuple(
        PlannedComparison(one, *side, (), (Level.WEIGHTS,), (), None, False, 1)
        for one, side in zip(ids, sides, strict=True)
    )
    events = [RunStarted("h", 1)]
    for one in ids:
        results = [TensorFinished(one, tensor(name, violations=3)) for name in NAMES[:1]]
        events += [ComparisonStarted(one, 0), *results, ComparisonFinished(one, Outcome.FALSIFIED, "")]
    plan = replace(plan_of(tmp_path), comparisons=comparisons, gates=(), conversions=())
    folder = write_run(tmp_path, [*events, RunFinished(1)], plan=plan)

    async def body(app, pilot):
        table = app.screen.table
        rows = [table.render_line(y).text for y in range(1, 1 + len(sides))]
        assert all("embed_tokens" in row for row in rows)
        places = [row[2:].split("weight")[1].split()[0] for row in rows]
        assert len(set(places)) == len(sides), places
        assert {place.replace("→", "") for place in places} == {"SAG/SA", "SAG/S", "SAGAS/SAGA", "SAGAS/S", "SG"}

    drive(body, size=size, run=folder.path)
