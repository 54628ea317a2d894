"""Two runs side by side: what counts as broken, which tensors flipped, and what was not the same."""

import tracemalloc
from dataclasses import replace

import pytest
from runs_by_hand import (
    BUILTIN,
    CRASHED,
    FAILS,
    HOLDS,
    SKIPPED,
    comparison,
    gate,
    level,
    plan,
    tensor,
    write_run,
)

from aprtui.core.errors import AprtuiError
from aprtui.core.events import ComparisonStarted, RunResumed, TolerancesChanged
from aprtui.core.outcomes import Level, Outcome
from aprtui.core.tolerance import ToleranceSettings
from aprtui.store.run_comparison import GateChange, compare_runs

SG = "F-CONV-S-G"


def compared(tmp_path, before, after, *plans):
    first, second = plans or (None, None)
    return compare_runs(write_run(tmp_path / "a", before, first), write_run(tmp_path / "b", after, second))


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        (HOLDS, HOLDS, GateChange.UNCHANGED),
        (FAILS, FAILS, GateChange.UNCHANGED),
        (HOLDS, FAILS, GateChange.BROKEN),
        (HOLDS, CRASHED, GateChange.BROKEN),
        (HOLDS, SKIPPED, GateChange.BROKEN),
        (SKIPPED, FAILS, GateChange.BROKEN),
        (FAILS, HOLDS, GateChange.FIXED),
        (SKIPPED, HOLDS, GateChange.FIXED),
        (FAILS, SKIPPED, GateChange.CHANGED),
        (FAILS, Outcome.TIMEOUT, GateChange.CHANGED),
        (CRASHED, FAILS, GateChange.CHANGED),
    ],
)
def test_what_became_of_a_gate(tmp_path, before, after, change):
    (found,) = compared(tmp_path, [gate(SG, before, "was")], [gate(SG, after, "is")]).gates
    assert (found.change, found.before, found.after) == (change, before, after)
    assert (found.reason_before, found.reason_after) == ("was", "is")


def test_gates_of_one_run_alone(tmp_path):
    both = {SG: ("S~S>G",), "F-CONV-S-A": ("S~S>A",)}
    found = compared(
        tmp_path, [gate("F-CONV-S-A", HOLDS)], [gate(SG, FAILS)], plan("a", both), plan("b", {SG: ("S~S>G",)})
    )
    assert [(one.gate, one.change) for one in found.gates] == [(SG, GateChange.NEW), ("F-CONV-S-A", GateChange.GONE)]


def test_tensors_that_flipped_and_by_how_much(tmp_path):
    before = comparison(tensor("same"), tensor("fails", 0.5), tensor("fixed", 0.25), tensor("broken"), tensor("gone"))
    after = comparison(tensor("same"), tensor("fails", 2.0), tensor("fixed"), tensor("broken", 1.0), tensor("new", 1.0))
    found = compared(tmp_path, [*before, gate(SG, FAILS)], [*after, gate(SG, FAILS)])
    assert [flip.name for flip in found.tensors] == ["broken", "fixed"]
    broken, fixed = found.tensors
    assert broken.is_broken and not fixed.is_broken
    assert (broken.before.max_abs, broken.after.max_abs) == (0.0, 1.0)
    assert broken.after.nmse == 1 / 64 and broken.after.unit == "differing elements" and broken.after.margin == 1
    assert (fixed.before.max_abs, fixed.after.max_abs) == (0.25, 0.0)
    assert found.tensors_of(found.gates[0]) == found.tensors


def test_the_same_tensor_in_another_comparison_is_another_one(tmp_path):
    before = comparison(tensor("x"))
    after = comparison(tensor("x", 1.0, "S~S>A"), comparison="S~S>A")
    assert compared(tmp_path, before, after).tensors == ()


def test_worst_first(tmp_path):
    names = ("small", "large", "middle")
    before = comparison(*(tensor(name) for name in names))
    after = comparison(*(tensor(name, by) for name, by in zip(names, (0.1, 10.0, 1.0), strict=True)))
    assert [flip.name for flip in compared(tmp_path, before, after).tensors] == ["large", "middle", "small"]


def test_what_was_measured_in_vain_does_not_count(tmp_path):
    """A comparison that began again, and one that a resumed run did not take over."""
    before = [*comparison(tensor("x"))]
    begun_again = [ComparisonStarted("S~S>G", 0), tensor("x", 1.0), *comparison(tensor("x"))]
    not_taken_over = [*comparison(tensor("x", 1.0)), RunResumed((), "it changed"), *comparison(tensor("x"))]
    assert compared(tmp_path / "1", before, begun_again).tensors == ()
    assert compared(tmp_path / "2", before, not_taken_over).tensors == ()
    taken_over = [*comparison(tensor("x", 1.0)), RunResumed((SG,), "", ("S~S>G",))]
    assert len(compared(tmp_path / "3", before, taken_over).tensors) == 1


def test_a_tensor_that_was_judged_again_counts_as_it_was_judged_last(tmp_path):
    judged_again = [*comparison(tensor("x", 1.0)), tensor("x")]
    assert compared(tmp_path / "1", [*comparison(tensor("x"))], judged_again).tensors == ()
    assert len(compared(tmp_path / "2", [*comparison(tensor("x", 1.0))], judged_again).tensors) == 1


def test_levels_that_changed(tmp_path):
    before = comparison(level(Level.STRUCTURE), level(Level.METADATA, "rope_theta"), level(Level.WEIGHTS))
    after = comparison(level(Level.STRUCTURE, "x", "y"), level(Level.METADATA, "rope_theta"))
    (flip,) = compared(tmp_path, before, after).levels
    assert (flip.comparison, flip.level, flip.before, flip.after) == ("S~S>G", Level.STRUCTURE, HOLDS, FAILS)
    assert (flip.failures_before, flip.failures_after) == (0, 2)


def test_what_was_not_the_same(tmp_path):
    first = plan("a")
    other = replace(BUILTIN, version="2")
    second = plan("b", converter=other, playbook=replace(first.playbook, digest="xxh3:q"), aprtui_version="1")
    found = compared(tmp_path, [], [TolerancesChanged(ToleranceSettings(ulp=2.0, origin="p.yaml"))], first, second)
    assert [one.what for one in found.circumstances] == ["playbook", "converter", "tolerances", "aprtui"]
    tolerances = found.circumstances[2]
    assert (tolerances.before, tolerances.after) == ("those of the rules", "ulp 2")
    assert compared(tmp_path / "same", [], []).circumstances == ()


def test_damaged_lines_are_counted(tmp_path):
    first, second = write_run(tmp_path / "a", [gate(SG, HOLDS)]), write_run(tmp_path / "b", [gate(SG, HOLDS)])
    for folder in (first, second):
        folder.journal.write_bytes(b"garbage\n" + folder.journal.read_bytes())
    found = compare_runs(first, second)
    assert found.passed_over == 2 and found.gates[0].change is GateChange.UNCHANGED


def test_a_run_without_a_plan(tmp_path):
    first, second = write_run(tmp_path / "a", []), write_run(tmp_path / "b", [])
    (second.path / "plan.json").write_text("{")
    with pytest.raises(AprtuiError, match=r"plan\.json: cannot be understood"):
        compare_runs(first, second)


def test_memory_does_not_grow_with_the_tensors_that_hold(tmp_path):
    def peak(count):
        holds = comparison(*(tensor(f"model.layers.{number}.mlp.down_proj.weight") for number in range(count)))
        first, second = (write_run(tmp_path / f"{name}{count}", holds) for name in "ab")
        tracemalloc.start()
        compare_runs(first, second)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(10)  # imports and caches
    assert peak(1200) < 2 * peak(300)
