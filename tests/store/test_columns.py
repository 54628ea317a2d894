"""Rows of a run: from the journal into columns, in an order that only changes when somebody asks."""

import random
from itertools import product

from run_folders import NAMES, RUN_ID, alive, append, finding, journal_bytes, level, tensor, whole_run, write_run

from aprtui.core.events import (
    ComparisonFinished,
    ComparisonStarted,
    GateFinished,
    RunResumed,
    TensorFinished,
    TolerancesChanged,
)
from aprtui.core.findings import FindingKind
from aprtui.core.outcomes import Level, Outcome
from aprtui.core.tolerance import Rule, ToleranceSettings
from aprtui.store.columns import RowKind
from aprtui.store.diff_table import TableFormat, table_rows, write_table
from aprtui.store.filters import Filter
from aprtui.store.progress import progress_of
from aprtui.store.row_order import RowOrder, SortKey
from aprtui.store.row_status import RowStatus
from aprtui.store.run_folder import RunState
from aprtui.store.run_view import RunView


def read(folder):
    view = RunView(folder)
    while view.read(1.0).more:
        pass
    return view


def words(view, order):
    return [(view.columns.status(number).word, view.columns.names[number]) for number in order.numbers]


def test_every_tensor_and_every_other_failure_is_a_row(tmp_path):
    view = read(write_run(tmp_path, whole_run()))
    order = RowOrder(view.columns)
    order.show(None)
    assert words(view, order) == [
        ("CARD", "model.norm.weight"),
        ("FAIL", NAMES[2]),
        ("FAIL", NAMES[5]),
        ("FAIL", NAMES[0]),
        ("FAIL", NAMES[3]),
        ("META", "rope_theta"),
        ("pass", NAMES[1]),
        ("pass", NAMES[4]),
    ]
    row = view.columns.row(order.numbers[1])
    assert (row.rule, row.unit, row.source_type, row.target_type) == ("certificate", "blocks", "BF16", "Q4_K")
    assert row.margin == 120
    assert view.tensor(row.number).judgement.margin == row.margin
    assert view.state() is RunState.FINISHED
    assert view.passed_over == 0


def test_what_a_run_says_of_nan_ranks_above_any_number(tmp_path):
    events = whole_run()
    events[3:3] = [TensorFinished("S~S>G", tensor("a.weight", violations=1, nan=7))]
    view = read(write_run(tmp_path, events))
    order = RowOrder(view.columns)
    order.show(None)
    assert words(view, order)[0] == ("NAN", "a.weight")


def test_rows_are_there_before_their_results(tmp_path):
    folder = write_run(tmp_path, [ComparisonStarted("S~S>G", 0)])
    view = read(folder)
    view.take_inventory(NAMES)
    numbers = [view.columns.tensor(0, name) for name in NAMES]
    assert [view.columns.status(number) for number in numbers] == [RowStatus.WAITING] * len(NAMES)
    append(folder, [TensorFinished("S~S>G", tensor(NAMES[2], violations=9))], 1)
    view.columns.changed.clear()
    assert view.read(1.0).rows == {numbers[2]}
    assert view.columns.status(numbers[2]) is RowStatus.FAILED
    append(folder, [ComparisonFinished("S~S>G", Outcome.CRASHED, "killed by SIGKILL", stderr="Out of memory")], 2)
    view.read(1.0)
    assert view.columns.status(numbers[0]) is RowStatus.CRASHED
    notice = view.columns.row(len(view.columns) - 1)
    assert (notice.kind, notice.text) == (RowKind.NOTICE, "killed by SIGKILL: Out of memory")


def test_the_inventory_follows_from_the_first_comparison(tmp_path):
    view = read(write_run(tmp_path, whole_run()[:-2], comparisons=("S>G", "S>A")))
    assert [view.columns.status(view.columns.tensor(1, name)) for name in NAMES] == [RowStatus.WAITING] * len(NAMES)


def test_a_comparison_that_starts_anew_is_void(tmp_path):
    folder = write_run(tmp_path, whole_run()[:-1])
    view = read(folder)
    append(folder, [RunResumed(("G0-PULL-001",))], len(whole_run()) - 1)
    view.read(1.0)
    assert set(view.gates) == {"G0-PULL-001"}
    shown = [view.columns.status(number) for number in range(len(view.columns))]
    assert set(shown) == {RowStatus.WAITING, RowStatus.HIDDEN}
    assert progress_of(view).done == 0


def test_rows_never_move_by_themselves(tmp_path):
    folder = write_run(tmp_path, [ComparisonStarted("S~S>G", 0)])
    view = read(folder)
    view.take_inventory(NAMES)
    order = RowOrder(view.columns)
    order.show(None)
    before = list(order.numbers)
    view.columns.changed.clear()
    append(folder, [TensorFinished("S~S>G", tensor(NAMES[5], violations=9))], 1)
    dirty = order.update(view.read(1.0).rows)
    assert list(order.numbers) == before
    assert dirty == [5]
    assert order.out_of_order == 1
    order.sort()
    assert order.position(view.columns.tensor(0, NAMES[5])) == 0
    order.failures_only = True
    order.sort()
    append(folder, [TensorFinished("S~S>G", tensor(NAMES[0], violations=99, error=5))], 2)
    order.update(view.read(1.0).rows)
    assert [view.columns.names[number] for number in order.numbers] == [NAMES[5], NAMES[0]]
    assert order.next_failure(0, 1) == 1
    assert order.next_failure(1, 1) is None


def test_filters_stack(tmp_path):
    view = read(write_run(tmp_path, whole_run()))
    order = RowOrder(view.columns)

    def names(text, **fields):
        order.filter, order.failures_only = Filter(text), fields.get("failures_only", False)
        order.show(None)
        return {view.columns.names[number] for number in order.numbers}

    assert names("q_proj") == {NAMES[1]}
    assert names("layers !norm !proj") == set()
    assert names("*0.*proj*") == {NAMES[1], NAMES[2], NAMES[3]}
    assert names("dtype:q4_k margin>10") == {NAMES[2], NAMES[5]}
    assert names("status:meta") == {"rope_theta"}
    assert names("proj", failures_only=True) == {NAMES[2], NAMES[3]}
    order.key = SortKey.NAME
    names("")
    assert [view.columns.names[number] for number in order.numbers] == sorted(names(""))


def test_rows_of_equal_values_are_sorted_as_by_all_columns_at_once(tmp_path):
    choice = random.Random(5).choice
    results = [
        TensorFinished(
            "S~S>G",
            tensor(
                f"t{choice(range(90)):02}.{number}",
                violations=choice((0, 4)),
                error=choice((0.1, 0.2)),
                nbytes=choice((7, 8)),
                target=choice(("Q4_K", "F16", "F32")),
                differing=choice((0, 3)),
                shape=choice(((8, 4096), (128, 256), (32768,))),
            ),
        )
        for number in range(200)
    ]
    columns = read(write_run(tmp_path, [*whole_run()[:3], *results], engine=alive())).columns
    names, worst = columns.names, (columns.nmses, columns.margins, columns.max_abs)
    keys = {
        SortKey.WORST: lambda n: (columns.statuses[n], *(-values[n] for values in worst)),
        SortKey.NAME: lambda n: names[n],
        SortKey.TYPE: lambda n: (columns.target_types[n], columns.source_types[n], names[n]),
        SortKey.MAX_ABS: lambda n: (-columns.max_abs[n], names[n]),
        SortKey.ULP: lambda n: (-columns.max_ulps[n], names[n]),
        SortKey.SHAPE: lambda n: ([-size for size in columns.shapes[n]], names[n]),
        SortKey.EPSILON: lambda n: (-["", *Rule].index(columns.rules[n]), -columns.limits[n], names[n]),
        SortKey.MARGIN: lambda n: (-columns.margins[n], names[n]),
        SortKey.SIZE: lambda n: (-columns.nbytes[n], names[n]),
        SortKey.FILE_ORDER: lambda n: n,
    }
    order = RowOrder(columns)
    assert set(keys) == set(SortKey)
    for order.key in SortKey:
        for scope, order.reverse in product((None, (0,)), (False, True)):
            order.show(scope)
            expected = sorted(range(len(columns)), key=keys[order.key])
            assert list(order.numbers) == (expected[::-1] if order.reverse else expected), order.key
            assert [order.position(number) for number in order.numbers] == list(range(len(columns)))


def test_new_tolerances_judge_rows_from_the_journal_alone(tmp_path):
    events = whole_run()
    events[3] = TensorFinished("S~S>G", tensor(NAMES[0], target="F16", differing=2))
    folder = write_run(tmp_path, events)
    view = read(folder)
    number = view.columns.tensor(0, NAMES[0])
    assert view.columns.status(number) is RowStatus.FAILED
    append(folder, [TolerancesChanged(ToleranceSettings(ulp=4.0, origin="p.yaml, line 9"))], len(events))
    while view.read(1.0).more:
        pass
    row = view.columns.row(number)
    assert (row.status, row.limit, row.margin) == (RowStatus.PASSED, 4.0, -2.0)
    assert "line 9" in row.set_by


def test_damaged_lines_are_counted_and_passed_over(tmp_path):
    folder = write_run(tmp_path, whole_run())
    good = folder.journal.read_bytes()
    newer = good.splitlines()[4].replace(b'"v":2', b'"v":99')
    torn = good.splitlines()[5][:-40]
    hostile = (
        b'{"v":2,"run":"' + RUN_ID.encode() + b'","kind":"TensorFinished","comparison":"S~S>G","tensor":{"name":[]}}'
    )
    folder.journal.write_bytes(b"\n".join((newer, torn, hostile, b"\xff\x00", good)) + b'{"v":2')
    view = read(folder)
    assert view.passed_over == 4
    assert len(view.gates) == 2


def test_a_gate_without_comparisons_that_fails_is_a_row(tmp_path):
    view = read(
        write_run(tmp_path, [GateFinished("G0-PULL-001", Outcome.FALSIFIED, "model.safetensors is gone", "e", 1)])
    )
    assert view.columns.row(0).text == "model.safetensors is gone"


def test_a_wrong_shape_is_told_from_a_missing_tensor(tmp_path):
    shape = finding("a.bias", "[1536] is not [1536, 1]", FindingKind.SHAPE)
    name = finding("b.weight", "stored under another name", FindingKind.MISNAMED)
    view = read(write_run(tmp_path, [level(Level.STRUCTURE, [shape, name])]))
    assert [view.columns.row(number).status.word for number in range(2)] == ["SHAP", "NAME"]


def test_twenty_thousand_events_lose_no_count(tmp_path):
    names = [f"model.layers.{number}.weight" for number in range(5000)]
    template = journal_bytes([TensorFinished("S~S>G", tensor("NAME", violations=3))])
    folder = write_run(tmp_path, [ComparisonStarted("S~S>G", 0)])
    with folder.journal.open("ab") as file:
        for name in names * 4:
            file.write(template.replace(b'"NAME"', f'"{name}"'.encode()))
    view = RunView(folder)
    slices = 0
    while view.read(0.005).more:
        slices += 1
    assert slices > 10
    assert view.comparisons[0].tensors_done == len(view.columns) == 5000
    assert view.passed_over == 0
    assert view.columns.statuses.count(RowStatus.FAILED) == 5000


def test_a_table_as_csv_and_json(tmp_path):
    events = whole_run((*NAMES, "=HYPERLINK(1)"))
    view = read(write_run(tmp_path, events))
    numbers = list(range(len(view.columns)))
    rows = list(table_rows(view, numbers))
    assert {row["comparison"] for row in rows} == {"S~S>G"}
    write_table(tmp_path / "t.csv", TableFormat.CSV, view, numbers)
    text = (tmp_path / "t.csv").read_text()
    assert text.splitlines()[0].startswith("status,comparison,name")
    assert ",'=HYPERLINK(1)," in text
    write_table(tmp_path / "t.json", TableFormat.JSON, view, numbers)
    assert (tmp_path / "t.json").stat().st_size > 1000
