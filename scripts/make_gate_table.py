"""Writes docs/gates.md: every gate, what it looks at, when it passes, how it differs from apr-qa's of that id."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from aprtui.core.gate_table import GATES
from aprtui.core.gates import Gate, GateFamily
from aprtui.core.scenario_gates import NEVER_PLANNED

TABLE = Path(__file__).parents[1] / "docs" / "gates.md"

_INTRODUCTION = """\
# Gates

A gate asks one question of a run and has one id, for its pass and for its failure. Ids are apr-qa's. A gate is judged
from comparisons of files (`aprtui run --dry-run` lists which), so that a product is read once, however many gates rest
on it.

| outcome | when |
| --- | --- |
| Corroborated | every level that the gate asks for was checked and holds |
| Falsified | a level fails, the converter left no product of a good source, or an engine or its answer fails |
| Skipped | something could not be checked: no converter, source or engine, an empty source, a part of the tensors |
| Timeout, Crashed | out of time, a worker that died, a source or converter that changed meanwhile |

What a product shows against the run's model and its source shows already is the fault of whatever made the source: it
is named (`inherited_from_source`), and falsifies that conversion's own gate. Levels that the playbook leaves out are
named, too (`levels_not_asked_for`). A gate that a run does not have is listed by `--dry-run` with the reason.

The level `behaviour` runs both models, which takes longer than everything else together; it is planned where it is
asked for: `aprtui run --level all`, or `behaviour` in `aprtui.levels`. So do scenarios, which run each file of the
playbook's formats in engines: [behaviour.md](behaviour.md#scenarios).

This file is written by `scripts/make_gate_table.py`.
"""

_FAMILIES = {
    GateFamily.GATEWAY: "Before anything is converted",
    GateFamily.PAIR: "Pairs",
    GateFamily.ROUND_TRIP: "Round trips",
    GateFamily.TWO_ROUTES: "Two ways to one format",
    GateFamily.CONTENT: "One question of every conversion",
    GateFamily.CONTRACT: "Contracts of APR",
    GateFamily.SCENARIO: "Files in engines",
}

_NEVER_PLANNED = """
## Gates of apr-qa that are never planned

They test a program around a model file. A run lists them among the gates that are not planned, and they cannot block a
certification.

| gate | why |
| --- | --- |"""


def table() -> str:
    """The whole file."""
    return "\n".join([_INTRODUCTION, *_families()]) + "\n"


def _families() -> Iterator[str]:
    yield f"{len(GATES)} gates."
    for family, title in _FAMILIES.items():
        gates = [gate for gate in GATES.values() if gate.family is family]
        yield f"\n## {title}\n"
        yield "| gate | severity | looks at | levels | passes when | unlike apr-qa's |"
        yield "| --- | --- | --- | --- | --- | --- |"
        yield from map(_row, gates)
    yield _NEVER_PLANNED
    yield from (f"| `{gate}` | {reason} |" for gate, reason in NEVER_PLANNED.values())


def _row(gate: Gate) -> str:
    levels = ", ".join(gate.levels) or "-"
    return (
        f"| `{gate.gate_id}` {gate.title} | {gate.severity} | {gate.inputs} | {levels} | {gate.pass_rule} "
        f"| {gate.unlike_upstream} |"
    )


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8")
