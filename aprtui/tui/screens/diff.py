"""View 4: one run. The tree of its gates, the table of its rows, and of one row everything that is known."""

from __future__ import annotations

from collections.abc import Iterable
from time import monotonic
from typing import ClassVar

from textual import on
from textual.containers import Horizontal, Vertical
from textual.widget import Widget

from aprtui.core.gate_table import gate_of
from aprtui.store.columns import NO_COMPARISON, Row, RowKind
from aprtui.store.filters import Filter
from aprtui.store.progress import progress_of
from aprtui.store.row_order import RowOrder, SortKey
from aprtui.store.row_status import RowStatus
from aprtui.store.run_folder import RunState
from aprtui.store.run_view import Changes, RunView
from aprtui.tui.keys import bindings
from aprtui.tui.paint import Line, Span, title
from aprtui.tui.screens.dialog import TextDialog
from aprtui.tui.screens.run_actions import RunActions
from aprtui.tui.screens.view import cells, spread
from aprtui.tui.widgets.causes import answer_spans, diagnosis_lines
from aprtui.tui.widgets.gate_tree import GateSource, GateTree
from aprtui.tui.widgets.lines import Lines, wrapped
from aprtui.tui.widgets.row_table import EmptySource, RowTable
from aprtui.tui.widgets.run_lines import counts_line, progress_line
from aprtui.tui.widgets.tensor_detail import TensorDetail
from aprtui.tui.widgets.tensor_source import TensorSource
from aprtui.tui.words import comparison_title, outcome_span, tolerance_sentence

_ORDER_OF_KEYS = tuple(SortKey)
_SECONDS_BETWEEN_SORTS = 1.0
_SECONDS_BETWEEN_SEEKS = 0.1
_NO_RUN: tuple[Line, ...] = (
    (("  No run is open.", "text"),),
    (),
    (("  3", "key"), (" shows the runs, ", "muted"), ("1", "key"), (" the playbooks; ", "muted")),
    (("  r", "key"), (" on a playbook starts one.", "muted")),
)


class DiffScreen(RunActions):
    """The run that is open."""

    NAME = "diff"
    NUMBER = 4
    BINDINGS: ClassVar = bindings("diff")

    def __init__(self) -> None:
        super().__init__()
        self.order: RowOrder | None = None
        self.view: RunView | None = None
        self.paused = False
        self._kept: Changes | None = None
        self._next_sort = 0.0
        self._unsorted: set[int] = set()
        self._undrawn: set[int] = set()
        self._sorts_soon = False
        self._counts: dict[RowStatus, int] = {}
        self._sought: tuple[str, str] | None = None
        self._scope_title, self._title = "all gates", ""
        self._filter = Filter("")

    def compose_body(self) -> Iterable[Widget]:
        """Progress, counts, panes."""
        yield Lines(id="progress")
        yield Lines(id="counts")
        with Horizontal():
            with Vertical(id="gates", classes="pane"):
                yield GateTree(id="tree")
            with Vertical(id="rows", classes="pane"):
                yield RowTable(id="table")
            with Vertical(id="detail", classes="pane"):
                yield TensorDetail()

    def on_mount(self) -> None:
        """Titles of the panes; the run, if there is one."""
        self.query_one("#gates").border_title = "Gates"
        self.query_one("#rows").border_title = "Rows"
        self.query_one("#detail").border_title = "Tensor"
        self.table.empty = _NO_RUN
        if self.console.current is not None:
            self.show_run(self.console.current)
        self.table.focus()

    @property
    def table(self) -> RowTable:
        """The rows."""
        return self.query_one("#table", RowTable)

    @property
    def gate_tree(self) -> GateTree:
        """The gates."""
        return self.query_one("#tree", GateTree)

    def show_run(self, view: RunView, gate: str = "") -> None:
        """Open a run, on its worst row."""
        self.view, self.paused, self._kept = view, False, None
        self._unsorted, self._undrawn, self._sought = set(), set(), None
        self.order = RowOrder(view.columns)
        self.order.filter = self._filter
        self.table.source = TensorSource(view, self.order)
        self.table.held, self.table.marked = False, set()
        self.gate_tree.source = GateSource(view)
        position = 0
        nodes = self.gate_tree.source.nodes
        if gate:
            position = next((at for at, node in enumerate(nodes) if node.gate == gate), 0)
        self.gate_tree.rebuild(position)
        self._take_scope()
        self.table.rebuild(0)
        self._count()
        self.refresh_chrome()
        self._show_detail()

    def seek(self, comparison: str, name: str) -> None:
        """Put the cursor on the row of a tensor, or on the first one of a comparison, as soon as all have been read."""
        self._sought = (comparison, name)
        self._seek()

    def _seek(self) -> None:
        if self._sought is None or self.view is None or self.order is None:
            return
        if not self.console.follower.caught_up:
            self.set_timer(_SECONDS_BETWEEN_SEEKS, self._seek)
            return
        number, name = self.view.index(self._sought[0]), self._sought[1]
        self._sought = None
        if (position := self.order.position_of(number, name)) is None and self._filter:
            self.clear_filter()
            position = self.order.position_of(number, name)
        if position is not None:
            self.table.held = True
            self.table.rebuild(position)

    def run_changed(self, changes: Changes) -> None:
        """The journal brought something."""
        if self.view is None or self.order is None:
            return
        if self.paused:
            kept = self._kept or Changes()
            kept.rows |= changes.rows
            kept.gates = kept.gates or changes.gates
            self._kept = kept
            return
        if changes.rows or self._unsorted:
            self._take_rows(self.order, changes)
            self._count()
        if changes.gates:
            assert isinstance(self.gate_tree.source, GateSource)
            self.gate_tree.update_rows(range(len(self.gate_tree.source)))
        self.refresh_chrome()
        if changes.rows or changes.gates:
            self._show_detail()

    def _take_rows(self, order: RowOrder, changes: Changes) -> None:
        """Draw rows that changed: in place, and in their order once a second unless somebody holds it."""
        rows, undrawn = self._unsorted | changes.rows, self._undrawn | changes.rows
        follows = not self.table.held and order.key is not SortKey.FILE_ORDER
        goes_on = changes.more or self.console.current_is_live
        self._unsorted, self._undrawn = (rows if follows else set()), set()
        if follows and (monotonic() > self._next_sort or not goes_on):
            self._sort_in_place(rows)
            self._unsorted = set()
        elif follows and not self.console.follower.caught_up:
            self._undrawn = undrawn
        else:
            self.table.update_rows(order.update(undrawn))
        if self._unsorted and not self._sorts_soon:
            # The journal may bring nothing more.
            self._sorts_soon = True
            self.set_timer(max(0.05, self._next_sort - monotonic()), self._sort_when_due)

    def _sort_when_due(self) -> None:
        self._sorts_soon = False
        if self._unsorted:
            self.run_changed(Changes())

    def _sort_in_place(self, changed: set[int]) -> None:
        """Sort while nobody holds the order; only lines in sight that are others are drawn."""
        assert self.order is not None
        table = self.table
        seen = range(table.scroll_offset.y, table.scroll_offset.y + table.page)
        before = [self.order.numbers[at] for at in seen if at < len(self.order.numbers)]
        began = monotonic()
        self.order.sort()
        # Of many rows, most of the time has to be left for reading them.
        pause = _SECONDS_BETWEEN_SORTS if self.console.current_is_live else 10 * (monotonic() - began)
        self._next_sort = monotonic() + pause
        after = self.order.numbers
        others = [
            at
            for number, at in enumerate(seen)
            if at < len(after) and (number >= len(before) or before[number] != after[at] or after[at] in changed)
        ]
        table.update_rows(others)

    @property
    def row(self) -> Row | None:
        """The row under the cursor."""
        source = self.table.source
        return source.row(self.table.cursor) if isinstance(source, TensorSource) and len(source) else None

    @property
    def chosen_gate(self) -> str:
        """The gate of the tree's line."""
        return self.gate_tree.node.gate if self.gate_tree.node is not None else ""

    def _count(self) -> None:
        counts: dict[RowStatus, int] = {}
        if self.view is not None:
            statuses = self.view.columns.statuses
            for status in RowStatus:
                counts[status] = statuses.count(status)
        self._counts = counts

    # What the lines say.

    def subject(self) -> list[str]:
        """Run and playbook."""
        if self.view is None:
            return []
        return [f"run {self.view.plan.run_id}", self.view.plan.playbook.name]

    def status(self) -> Line:
        """Which rows of how many."""
        if self.order is None:
            return ()
        spans: list[Span] = []
        if self.paused:
            spans.append(("PAUSED  ", "warn"))
        if self.has_class("-narrow") and self.gate_tree.cursor:
            # There the pane has no title.
            spans.append((f"{self._scope_title}  ", "accent"))
        if not any(column.sort for column in self.table.source.columns(self.table.size.width)):
            # What it is sorted by has no column.
            spans.append((f"by {self.order.key.value}{', reversed' if self.order.reverse else ''}  ", "accent"))
        if self.order.failures_only:
            spans.append(("fails only  ", "accent"))
        if self.order.filter:
            spans.append((f"/{self.order.filter.text}  ", "accent"))
        spans.append((f"{len(self.order.numbers)} of {self.order.scope_size} ", "muted"))
        return spans

    def refresh_chrome(self) -> None:
        """Also progress and counts."""
        super().refresh_chrome()
        if not self.is_ready or self.view is None:
            return
        progress = progress_of(self.view)
        line = progress_line(self.view, progress, self.size.width)
        if self.view.state() is not RunState.RUNNING and (answers := answer_spans(self.view.causes_of_run())):
            while line and line[-1][1] == "muted" and cells(line) + cells(answers) + 2 > self.size.width:
                line = line[:-1]
            line = spread(line, answers, self.size.width)
        self.query_one("#progress", Lines).show(line)
        self.query_one("#counts", Lines).show(counts_line(self.view, self._counts, self.size.width))
        order = self.order
        if order is not None:
            how = order.key.value + (", reversed" if order.reverse else "")
            text = f"Rows of {self._scope_title} · {how}"
            if text != self._title:
                # Setting a title draws the whole pane again, so not without need.
                self._title = text
                self.query_one("#rows").border_title = title(text, ascii_only=self.console.ascii_only)

    def fact_line(self) -> Line:
        """Tolerance of the row, or what waits to be sorted; of a gate what it asks."""
        row, order, node = self.row, self.order, self.gate_tree.node
        if self.gate_tree.has_focus and node is not None and node.gate:
            gate = gate_of(node.gate)
            return ((f" {gate.title}: {gate.pass_rule}", "muted"),)
        if row is None or order is None or self.view is None:
            if order is not None and order.scope_size:
                return ((f" 0 of {order.scope_size} match · esc clears the filter, f shows all", "warn"),)
            return ()
        spans: list[Span] = []
        if self.table.held and order.out_of_order:
            spans.append((f" + {order.out_of_order} new, order held: . sorts ·", "warn"))
        if causes := self.view.causes(row.number):
            spans.append((f" {causes[0].code} ·", "fail"))
        if row.kind is RowKind.TENSOR:
            spans.append((f" {tolerance_sentence(row) or 'waits to be compared'}", "muted"))
        else:
            spans.append((f" {row.text}", "text"))
        return spans

    # Choosing rows.

    def _take_scope(self) -> None:
        order, view, node = self.order, self.view, self.gate_tree.node
        if order is None or view is None:
            return
        scope: tuple[int, ...] | None = None
        self._scope_title = "all gates"
        if node is not None and node.depth == 1:
            ids = [gate.gate_id for gate in view.plan.gates if gate.gate.family is node.family]
            scope = tuple(index for gate in ids for index in view.comparisons_of(gate))
            self._scope_title = node.label
        elif node is not None and node.depth >= 2:
            scope = view.comparisons_of(node.gate) if node.comparison < 0 else (node.comparison,)
            self._scope_title = node.gate
            if node.comparison >= 0:
                self._scope_title = comparison_title(view.plan.comparisons[node.comparison])
            scope = scope or (NO_COMPARISON,)
        assert isinstance(self.table.source, TensorSource)
        self.table.source.several = len(view.comparisons if scope is None else set(scope)) > 1
        order.show(scope)
        self.table.empty = self._no_rows(view)

    def _no_rows(self, view: RunView) -> tuple[Line, ...]:
        """What stands in the table where a gate, a filter or the run has no row to show."""
        node = self.gate_tree.node
        found = view.gates.get(node.gate) if node is not None else None
        if self.order is not None and self.order.scope_size:
            return ((("  No row matches.", "muted"),),)
        if node is None or not node.gate:
            live = view.state() is RunState.RUNNING
            text = "No result yet: rows come as tensors are compared." if live else "This run has no rows."
            return (((f"  {text}", "muted"),),)
        reason = wrapped(
            found.reason if found is not None else "", (self.table.size.width or self.size.width) - 4, "text", "  "
        )
        outcome = outcome_span(found.outcome if found is not None else None)
        return ((("  ", "text"), outcome, (f"  {node.label}", "strong")), *reason, (), (("  no row to show", "muted"),))

    @on(RowTable.Moved, "#tree")
    def _gate_chosen(self) -> None:
        self._take_scope()
        self.table.held = False
        self.table.rebuild(0)
        self.refresh_chrome()
        self._show_detail()

    @on(RowTable.Opened, "#tree")
    def _leave_tree(self) -> None:
        self.remove_class("-tree")
        self.table.focus()

    @on(RowTable.Moved, "#table")
    def _row_chosen(self) -> None:
        self.refresh_chrome()
        self._show_detail()

    @on(RowTable.Opened, "#table")
    def _row_opened(self) -> None:
        if self.view is not None and self.row is not None:
            self.console.open_detail(self)

    def _show_detail(self) -> None:
        detail = self.query_one(TensorDetail)
        if self.view is not None and self.has_class("-wide"):
            detail.show_row(self.view, self.row, "⏎ opens the detail and reads the files")

    def focus_body(self) -> None:
        """The table."""
        self.table.focus()

    def apply_filter(self, wanted: Filter) -> None:
        """Keep the filter also for the next run."""
        self._filter = wanted
        if self.order is not None:
            self._reorder(lambda order: setattr(order, "filter", wanted))

    def _reorder(self, change: object = None) -> None:
        """Change the order and sort; the cursor stays on its row where that is still shown."""
        order = self.order
        if order is None:
            return
        held = order.numbers[self.table.cursor] if len(order.numbers) else None
        if callable(change):
            change(order)
        order.sort()
        self._unsorted, self._undrawn = set(), set()
        if self.view is not None:
            self.table.empty = self._no_rows(self.view)
        position = order.position(held) if held is not None and self.table.held else None
        self.table.rebuild(0 if position is None else position)
        self._count()
        self.refresh_chrome()
        self._show_detail()

    def action_failures_only(self) -> None:
        """Failures only, or all."""
        self._reorder(lambda order: setattr(order, "failures_only", not order.failures_only))

    def action_resort(self) -> None:
        """Sort now."""
        self._reorder()

    def action_sort(self) -> None:
        """The next sort key."""

        def following(order: RowOrder) -> None:
            order.key = _ORDER_OF_KEYS[(_ORDER_OF_KEYS.index(order.key) + 1) % len(_ORDER_OF_KEYS)]

        self._reorder(following)

    def action_reverse(self) -> None:
        """The other way round."""
        self._reorder(lambda order: setattr(order, "reverse", not order.reverse))

    def action_pause(self) -> None:
        """Hold the view still, or go on."""
        self.paused = not self.paused
        if not self.paused and self._kept is not None:
            kept, self._kept = self._kept, None
            self.run_changed(kept)
        self.refresh_chrome()

    def action_failure(self, step: int) -> None:
        """To the next failing row."""
        if self.order is None:
            return
        self.table.held = True
        position = self.order.next_failure(self.table.cursor, step)
        if position is None:
            self.console.say("no failure after this row" if step > 0 else "no failure before this row")
        else:
            self.table.move(position)

    def action_gates(self) -> None:
        """The tree in place of the table where there is no room for both, else the focus."""
        if self.has_class("-narrow"):
            self.toggle_class("-tree")
        (self.table if self.gate_tree.has_focus else self.gate_tree).focus()
        self.call_after_refresh(self.refresh_chrome)

    def action_causes(self) -> None:
        """Why the comparisons that are shown fail; of a gate its whole verdict first."""
        view = self.view
        scope = self._comparisons_shown()
        found = [index for index in scope if view is not None and view.comparisons[index].diagnosis is not None]
        verdict = self._verdict_lines
        if view is None or not (found or verdict(100)):
            self.console.say("no cause is known: nothing failed here, or it is still being measured")
            return

        def lines(width: int) -> list[Line]:
            made = verdict(width)
            for index in found:
                diagnosis = view.comparisons[index].diagnosis
                assert diagnosis is not None
                title = comparison_title(view.comparisons[index].plan)
                head: list[Line] = [] if len(found) == 1 else [*([()] if made else []), ((title, "strong"),)]
                made += [*head, *diagnosis_lines(diagnosis, width)]
            return made

        text = "\n".join("".join(part for part, _ in line) for line in lines(100))
        of_gate = bool(verdict(100)) or len(found) != 1
        name = self._scope_title if of_gate else comparison_title(view.comparisons[found[0]].plan)
        self.app.push_screen(TextDialog(f"{'Causes' if found else 'Verdict'} of {name}", text, lines))

    def _verdict_lines(self, width: int) -> list[Line]:
        """The chosen gate: what it asks, and its verdict; nothing while all gates are shown."""
        node = self.gate_tree.node
        found = self.view.gates.get(node.gate) if self.view is not None and node is not None and node.gate else None
        if found is None:
            return []
        asks = wrapped(f"asks: {gate_of(found.gate).pass_rule}", width, "muted")
        return [(outcome_span(found.outcome),), *wrapped(found.reason, width, "text"), *asks, ()]

    def _comparisons_shown(self) -> list[int]:
        """Comparisons of the chosen gate; of the row where all gates are shown."""
        node, row = self.gate_tree.node, self.row
        if node is not None and node.gate and self.view is not None:
            return [node.comparison] if node.comparison >= 0 else list(self.view.comparisons_of(node.gate))
        return [row.comparison] if row is not None and row.comparison != NO_COMPARISON else []

    def action_all_gates(self) -> None:
        """Rows of every gate."""
        self.gate_tree.move(0)

    def action_zoom(self) -> None:
        """The pane with the focus alone, the table in place of the tree; or all panes again."""
        zoomed = self.has_class("-zoom") or self.has_class("-zoom-detail")
        in_detail = self.query_one(TensorDetail).has_focus
        self.remove_class("-zoom", "-zoom-detail")
        if not zoomed:
            self.add_class("-zoom-detail" if in_detail else "-zoom")
        if self.gate_tree.has_focus:
            self.table.focus()

    def action_back(self) -> None:
        """From the tree to the table, to the comparison that led here, from one gate to all; a filter goes first."""
        if self.has_class("-tree") and self.has_class("-narrow"):
            self._leave_tree()
            self.call_after_refresh(self.refresh_chrome)
        elif not self.has_filter and self.console.back_to_comparison():
            return
        elif self.has_filter or not self.gate_tree.cursor or isinstance(self.table.source, EmptySource):
            super().action_back()
        else:
            self.gate_tree.move(0)
            self.table.focus()
