"""The gates of a run as a tree: families, gates, and the comparisons that each is judged from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aprtui.core.gate_table import gate_of
from aprtui.core.gates import GateFamily
from aprtui.core.outcomes import Outcome
from aprtui.store.run_view import RunView
from aprtui.tui.keys import bindings
from aprtui.tui.paint import Span
from aprtui.tui.widgets.row_table import Column, RowTable
from aprtui.tui.words import comparison_title, outcome_span

_TITLES = {
    GateFamily.GATEWAY: "Model and files",
    GateFamily.PAIR: "Pairs",
    GateFamily.ROUND_TRIP: "Round trips",
    GateFamily.TWO_ROUTES: "Two routes",
    GateFamily.CONTENT: "Content",
    GateFamily.CONTRACT: "Contracts",
    GateFamily.SCENARIO: "Scenarios",
    GateFamily.OTHER: "Others",
}
_ROOM_FOR_REASON = 70
_BAD = (Outcome.FALSIFIED, Outcome.CRASHED, Outcome.TIMEOUT)


@dataclass(frozen=True, slots=True)
class Node:
    """A line of the tree.

    Attributes:
        depth: 0 everything, 1 a family, 2 a gate, 3 a comparison.
        label: What stands there.
        family: The family it belongs to.
        gate: Id of the gate it belongs to; empty above gates.
        comparison: Index of the comparison; -1 above comparisons.
    """

    depth: int
    label: str
    family: GateFamily | None = None
    gate: str = ""
    comparison: int = -1


class GateSource:
    """The lines of the tree that are unfolded.

    Args:
        view: The run.
    """

    def __init__(self, view: RunView) -> None:
        self.view = view
        self.folded: set[GateFamily] = set()
        self.unfolded: set[str] = set()
        self.nodes: list[Node] = []
        self._has_room = False
        self.rebuild()

    def rebuild(self) -> None:
        """Which lines there are."""
        nodes = [Node(0, "All gates")]
        families = dict.fromkeys(gate.gate.family for gate in self.view.plan.gates)
        for family in families:
            nodes.append(Node(1, _TITLES[family], family))
            if family not in self.folded:
                for gate in self.view.plan.gates:
                    if gate.gate.family is family:
                        nodes += self._gate(family, gate.gate_id)
        self.nodes = nodes

    def _gate(self, family: GateFamily, gate_id: str) -> list[Node]:
        nodes = [Node(2, gate_id, family, gate_id)]
        if gate_id in self.unfolded:
            for index in self.view.comparisons_of(gate_id):
                title = comparison_title(self.view.plan.comparisons[index])
                nodes.append(Node(3, title, family, gate_id, index))
        return nodes

    def __len__(self) -> int:
        return len(self.nodes)

    def columns(self, width: int) -> Sequence[Column]:
        """Label and state; the reason where there is room."""
        self._has_room = width >= _ROOM_FOR_REASON
        if self._has_room:
            return (Column("", 30), Column("", 7), Column("", 0))
        return (Column("", 0), Column("", 7))

    def cells(self, position: int) -> Sequence[Span]:
        """A line."""
        cells = self._cells(position)
        if self._has_room:
            node = self.nodes[position]
            cells.append((self.reason(node), "muted"))
        return cells

    def reason(self, node: Node) -> str:
        """Why a gate or a comparison came to its outcome; of a family what it is about."""
        if node.depth == 2:
            found = self.view.gates.get(node.gate)
            return found.reason if found is not None else gate_of(node.gate).title
        ended = self.view.comparisons[node.comparison].finished if node.comparison >= 0 else None
        return ended.reason if ended is not None else ""

    def _cells(self, position: int) -> list[Span]:
        node = self.nodes[position]
        if node.depth < 2:
            fold = "" if not node.depth else "▸ " if node.family in self.folded else "▾ "
            return [(f"{fold}{node.label}", "strong"), self._family_state(node.family)]
        if node.depth == 2:
            several = len(self.view.comparisons_of(node.gate)) > 1
            fold = "  " if not several else "▾ " if node.gate in self.unfolded else "▸ "
            return [(f"{fold}{node.label}", "text"), self._gate_state(node.gate)]
        return [(f"    {node.label}", "muted"), self._comparison_state(node.comparison)]

    def _family_state(self, family: GateFamily | None) -> Span:
        gates = [gate.gate_id for gate in self.view.plan.gates if family is None or gate.gate.family is family]
        verdicts = [self.view.gates[gate].outcome for gate in gates if gate in self.view.gates]
        failed = sum(outcome in _BAD for outcome in verdicts)
        if failed:
            return f"✗ {failed}/{len(gates)}", "fail"
        if len(verdicts) < len(gates):
            return f"· {len(verdicts)}/{len(gates)}", "wait"
        if Outcome.SKIPPED in verdicts:
            return f"- {verdicts.count(Outcome.SKIPPED)}/{len(gates)}", "skip"
        return f"✓ {len(gates)}", "pass"

    def _gate_state(self, gate: str) -> Span:
        found = self.view.gates.get(gate)
        if found is not None:
            return outcome_span(found.outcome)
        started = any(self.view.comparisons[index].started for index in self.view.comparisons_of(gate))
        started = started or not self.view.running.isdisjoint(self.view.scenarios_of(gate))
        return ("▶ run", "run") if started else ("· wait", "wait")

    def _comparison_state(self, index: int) -> Span:
        comparison = self.view.comparisons[index]
        if comparison.finished is not None:
            return outcome_span(comparison.finished.outcome)
        return ("▶ run", "run") if comparison.started else ("· wait", "wait")


class GateTree(RowTable):
    """The tree as a table without a header."""

    BINDINGS = bindings("tree")

    def __init__(self, id: str | None = None) -> None:
        super().__init__(header=False, id=id)

    @property
    def node(self) -> Node | None:
        """The line under the cursor."""
        source = self.source
        if isinstance(source, GateSource) and source.nodes:
            return source.nodes[min(self.cursor, len(source.nodes) - 1)]
        return None

    def action_fold(self, fold: bool) -> None:
        """Fold or unfold what the cursor stands on."""
        source, node = self.source, self.node
        if not isinstance(source, GateSource) or node is None:
            return
        if node.depth == 1 and node.family is not None:
            (source.folded.add if fold else source.folded.discard)(node.family)
        elif node.depth >= 2:
            (source.unfolded.discard if fold else source.unfolded.add)(node.gate)
        source.rebuild()
        position = next(
            (
                number
                for number, one in enumerate(source.nodes)
                if (one.depth, one.gate, one.family) == (min(node.depth, 2), node.gate, node.family)
            ),
            self.cursor,
        )
        self.rebuild(position)
        self.post_message(self.Moved(self, self.cursor))
