"""The detail of a tensor: what the child read, the tolerance among the errors, the map down to single elements."""

from dataclasses import replace

import pytest
from console import LARGE, SMALL, answers_with, assert_shows, drive, shows, text_of, until
from run_folders import NAMES, tensor, whole_run, write_run
from variants import variants

from aprtui.core.events import TensorFinished
from aprtui.store.run_view import RunView
from aprtui.store.tensor_reading import Decade, HeatMap, Region, read_tensor
from aprtui.tui.screens.tensor import TensorScreen
from aprtui.tui.services.tensors import RecentReadings
from aprtui.tui.widgets.block import block_at
from aprtui.tui.widgets.heat import HeatView, element_lines
from aprtui.tui.widgets.histogram import histogram_lines

SIDE = {"dtype": "BF16", "shape": [128, 256], "bytes": 65536, "offset": 64, "statistics": {"min": -1.0, "max": 2.5}}
READ = {
    "shape": [128, 256],
    "source": SIDE,
    "target": {**SIDE, "dtype": "Q4_K", "bytes": 18432},
    "histogram": [
        {"decade": -3, "count": 9000, "outside": 0},
        {"decade": -2, "count": 400, "outside": 0},
        {"decade": -1, "count": 12, "outside": 12},
    ],
    "heat": {
        "row_step": 64,
        "column_step": 64,
        "max_error": [[0.0, 0.01, 0.0, 0.0], [0.0, 0.1, 0.002, 0.0]],
        "violations": [[0, 0, 0, 0], [0, 12, 0, 0]],
    },
    "worst": [{"index": [70, 80], "source": 0.3, "target": 0.2, "ulp": 1000.0}],
    "block": {
        "index": 562,
        "row": 70,
        "column": 64,
        "scale": 0.5,
        "codes": list(range(16)) * 2,
        "source": [0.1] * 32,
        "decoded": [0.2] * 32,
        "clauses": [
            {"clause": "codes", "holds": False, "measured": {"code_steps": 14.5}},
            {"clause": "scale", "holds": True, "measured": {}},
        ],
    },
    "notes": [],
}
ELEMENTS = {"rows": [66, 74], "columns": [72, 88], "source": [[0.5] * 16] * 8, "target": [[0.25] * 16] * 8}


TALL_MAP = {
    "row_step": 2,
    "column_step": 4,
    "max_error": [[0.1] * 64 for _ in range(64)],
    "violations": [[0] * 64 for _ in range(64)],
}
WORST_BLOCK = {**READ["block"], "index": 3, "row": 0, "column": 96}


def lines_of(app):
    return ["".join(text for text, _ in line) for line in app.screen.detail.lines]


def test_all_that_the_files_say_is_shown(tmp_path, monkeypatch):
    folder = write_run(tmp_path, whole_run())
    asked = answers_with(monkeypatch, "aprtui.tui.services.tensors.ask", READ)

    async def body(app, pilot):
        await pilot.press("n", "enter")
        await until(pilot, lambda: any("decades" in line for line in lines_of(app)))
        assert asked == [["tensor", str(folder.path), "S~S>G", NAMES[2], "--format", "json"]]
        text = "\n".join(lines_of(app))
        for part in (
            "0x40",
            "65 536",
            "12  ✗ 12     outside ε",
            "ε is of each block",
            "✗ 12 outside ε",
            "[70,80]",
            "✗ codes",
            "code_steps 14.5",
            "✓ scale",
            "block 562, row 70",
        ):
            assert part in text, f"{part!r} is not in\n{text}"
        assert not any("outside" in line for line in lines_of(app) if line.startswith((" 1e-3", " 1e-2")))

    drive(body, run=folder.path)


def test_the_map_is_walked_down_to_single_elements(tmp_path, monkeypatch):
    folder = write_run(tmp_path, whole_run())
    answers_with(monkeypatch, "aprtui.tui.services.tensors.ask", READ)

    async def body(app, pilot):
        await pilot.press("n", "enter")
        await until(pilot, lambda: app.screen.detail.reading is not None)
        heat = app.screen.detail.heat
        of_cells = app.screen.detail.reading.heat
        assert (heat.row, heat.column) == (70, 80), "the map begins at the worst element"
        assert heat.cell(of_cells) == (1, 1)
        await pilot.press("l", "K")
        assert heat.cell(of_cells) == (0, 2)
        assert "rows 0–63, columns 128–191: max|Δ| 0  ✓ none outside ε" in "\n".join(lines_of(app))
        await pilot.press("h", "J")
        asked = answers_with(monkeypatch, "aprtui.tui.services.tensors.ask", {"elements": ELEMENTS})
        await pilot.press(*["plus"] * 7)
        await until(pilot, lambda: app.screen.detail.reading.elements is not None)
        assert asked[-1][4:8] == ["--rows", "66:74", "--columns", "72:88"]
        assert asked[-1][8:10] == ["--block", "562"], "the block of the selected element"
        await pilot.pause()
        text = "\n".join(lines_of(app))
        assert "70 src" in text
        assert "0.25" in text
        # Closer still, a key moves by one element.
        await pilot.press(*["plus"] * 9, "l", "J")
        assert (heat.row, heat.column) == (71, 81)
        await pilot.press("minus")
        await pilot.press("l")
        assert heat.column == 83

    drive(body, size=LARGE, run=folder.path)


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("BF16", "ε allows no difference"),
        ("F16", "ε allows 0.5 ULP of F16 at each value"),
        ("Q4_K", "ε is of each block"),
        ("IQ1_S", "ε allows an NRMSE of 0.99 over the whole tensor"),
    ],
)
def test_the_tolerance_among_the_errors_is_that_of_the_rule(target, says):
    lines = histogram_lines([Decade(-2, 5, 3)], tensor("x", target=target, differing=5), 76)
    text = " ".join("".join(part for part, _ in line) for line in lines)
    assert says in text
    assert "✗ 3" in text


@pytest.mark.parametrize("key", ["histogram", "heat", "worst", "block", "elements", "source", "shape"])
@pytest.mark.parametrize("value", [None, 3, "x", [], {}, [3], [{}], {"max_error": [[]]}])
def test_an_answer_of_another_shape_is_shown_without_that_part(key, value, tmp_path):
    reading = read_tensor({**READ, key: value})
    assert reading.notes == ()


def test_a_tensor_that_is_equal_says_so(tmp_path):
    events = whole_run()
    events[4] = TensorFinished("S~S>G", replace(tensor(NAMES[1]), name=NAMES[1]))
    folder = write_run(tmp_path, events)

    async def body(app, pilot):
        await pilot.press("G", "enter")
        assert_shows(app, "✓ pass")
        await pilot.press("G")
        assert any("none: all 32 768 elements equal" in line for line in lines_of(app))

    drive(body, run=folder.path)


@pytest.mark.parametrize("selected", [(0, 0), (100, 124), (2373, 1535)])
def test_the_selected_element_is_among_those_that_are_shown(selected):
    """Of 16 columns that were read 6 fit at 80 columns."""
    cells = tuple((1.0,) * 64 for _ in range(64))
    large = HeatMap(cells, 38, 24, 2374, 1536, tuple((0,) * 64 for _ in range(64)))
    heat = HeatView()
    heat.row, heat.column = selected
    rows, columns = heat.region(large)
    assert selected[0] in rows and selected[1] in columns and (len(rows), len(columns)) == (8, 16)
    values = tuple(tuple(float(row * 10_000 + column) for column in columns) for row in rows)
    lines = element_lines(Region(rows.start, columns.start, values, values), selected, 78, 3)
    assert len(lines) == 1 + 2 * 3
    head = "".join(text for text, _ in lines[0])
    assert str(selected[1]) in head.split()
    assert [text.strip() for text, paint in lines[0] if paint == "title"] == [str(selected[1])]
    assert any(line[0] == (f"{selected[0]:>7} src", "title") for line in lines)


def test_every_element_of_a_large_matrix_can_be_reached():
    cells = tuple((1.0,) * 64 for _ in range(64))
    large = HeatMap(cells, 2374, 24, 151_936, 1536, tuple((0,) * 64 for _ in range(64)))
    heat = HeatView()
    heat.go_to_worst(large)
    moves = 0
    # Coarse steps first, then finer ones: as a user who looks closer whenever the next step would go too far.
    while (heat.row, heat.column) != (100_001, 777):
        down, across = heat._element_steps(large, 78)
        off = (100_001 - heat.row, 777 - heat.column)
        if abs(off[0]) >= down or abs(off[1]) >= across:
            steps = zip(off, (down, across), strict=True)
            signs = [(one > 0) - (one < 0) if abs(one) >= step else 0 for one, step in steps]
            heat.pan(large, *signs, 78)
        else:
            heat.zoom(large, 1, 78)
        moves += 1
        assert moves < 120


@pytest.mark.parametrize(
    ("known", "columns", "element", "number"),
    [
        ({"index": 5, "row": 2, "column": 256, "decoded": [0.0] * 256}, 512, (3, 100), 6),
        ({"index": 6, "row": 3, "column": 0, "decoded": [0.0] * 64}, 96, (1, 95), 3),  # rows are filled up
        ({"index": 5, "row": 2, "column": 0, "decoded": [0.0] * 64}, 160, (1, 95), 3),  # blocks run on
        ({"index": "x"}, 64, (0, 0), None),
    ],
)
def test_the_block_of_an_element(known, columns, element, number):
    assert block_at(known, element, columns) == number


async def read(app, pilot):
    await until(pilot, lambda: isinstance(app.screen, TensorScreen) and app.screen.detail.reading is not None)
    await pilot.pause()


@variants("size", [(60, 16), SMALL, LARGE])
def test_keys_of_the_map_bring_it_and_the_selected_element_into_sight(size, tmp_path, monkeypatch):
    folder = write_run(tmp_path, whole_run())
    answers_with(monkeypatch, "aprtui.tui.services.tensors.ask", {**READ, "heat": TALL_MAP, "elements": ELEMENTS})

    async def body(app, pilot):
        await pilot.press("n", "enter")
        await read(app, pilot)
        assert app.screen.detail.scroll_offset.y == 0
        await pilot.press("l")
        await pilot.press("h")
        await pilot.pause()
        assert_shows(app, "where the errors sit", "rows 70–71, columns 80–83: max|Δ| 0.1")
        await pilot.press(*["plus"] * 7)
        await until(pilot, lambda: shows(app, "70 src"))
        lines = text_of(app)
        assert "where the errors sit" in "\n".join(lines)
        at = next(number for number, line in enumerate(lines) if "70 src" in line)
        assert "0.5" in lines[at] and "dst" in lines[at + 1] and "0.25" in lines[at + 1], "both values are in sight"
        assert any("80" in line.split() for line in lines[:at]), "and the number of its column"
        await pilot.press("g")
        assert shows(app, "where the errors sit") == (size == LARGE)
        await pilot.press("J")
        await pilot.pause()
        assert_shows(app, "where the errors sit")

    drive(body, size=size, run=folder.path)


def test_the_block_is_the_one_under_the_cursor_also_on_the_whole_map(tmp_path, monkeypatch):
    folder = write_run(tmp_path, whole_run())
    answers_with(monkeypatch, "aprtui.tui.services.tensors.ask", {**READ, "block": WORST_BLOCK})

    async def body(app, pilot):
        await pilot.press("n", "enter")
        await read(app, pilot)
        assert any("block 3, row 0" in line for line in lines_of(app)), "the worst block at first"
        selected = {**READ["block"], "index": 564, "row": 70, "column": 128}
        asked = answers_with(monkeypatch, "aprtui.tui.services.tensors.ask", {**READ, "block": selected})
        await pilot.press("l")
        assert app.screen.detail.heat.closeness == 0
        await until(pilot, lambda: any("block 564, row 70" in line for line in lines_of(app)))
        assert asked[-1][4:] == ["--block", str(70 * 8 + 144 // 32), "--format", "json"]

    drive(body, run=folder.path)


def test_a_region_that_cannot_be_read_says_why(tmp_path, monkeypatch):
    folder = write_run(tmp_path, whole_run())
    answers_with(monkeypatch, "aprtui.tui.services.tensors.ask", READ)

    async def body(app, pilot):
        await pilot.press("n", "enter")
        await read(app, pilot)
        answers_with(monkeypatch, "aprtui.tui.services.tensors.ask", None, "aprtui: model.gguf is gone")
        await pilot.press(*["plus"] * 7)
        assert any("reading both values" in line for line in lines_of(app))
        await until(pilot, lambda: any("model.gguf is gone" in line for line in lines_of(app)))

    drive(body, run=folder.path)


@variants(("forward", "back"), [("n", "N"), ("right_square_bracket", "left_square_bracket")])
def test_going_back_to_a_failure_reads_no_file_again(forward, back, tmp_path, monkeypatch):
    folder = write_run(tmp_path, whole_run())
    asked = answers_with(monkeypatch, "aprtui.tui.services.tensors.ask", READ)

    async def body(app, pilot):
        await pilot.press("n", "enter")
        await read(app, pilot)
        first = app.screen.detail.row.name
        await pilot.press(forward)
        await read(app, pilot)
        second = app.screen.detail.row.name
        assert first != second
        assert_shows(app, second)
        assert [arguments[3] for arguments in asked] == [first, second]
        for key, name in ((back, first), (forward, second), (back, first)):
            await pilot.press(key)
            await pilot.pause()
            assert app.screen.detail.row.name == name
            assert app.screen.detail.reading is not None, "it is there at once"
        await pilot.pause(0.4)
        assert len(asked) == 2

    drive(body, run=folder.path)


def test_the_readings_kept_are_few_and_of_the_tolerance_at_hand(tmp_path):
    names = [f"blk.{number}.weight" for number in range(20)]
    view = RunView(write_run(tmp_path, whole_run(names)))
    view.read(1.0)
    recent = RecentReadings()
    rows = [view.columns.row(view.columns.tensor(0, name)) for name in names]
    for number, row in enumerate(rows):
        recent.keep(view, row, (read_tensor(READ), []))
        if number == 10:
            assert recent.find(view, rows[0]) is not None
    assert recent.find(view, rows[0]) is not None, "looked at since"
    assert recent.find(view, rows[1]) is None
    assert recent.find(view, rows[19]) is not None
    judged = view.tensor(rows[19].number)
    other = replace(judged, tolerance=replace(judged.tolerance, limit=judged.tolerance.limit + 1))
    view.tensor = lambda number: other
    assert recent.find(view, rows[19]) is None
