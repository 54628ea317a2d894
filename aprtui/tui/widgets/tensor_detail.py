"""Everything that is known of one row: from the journal at once, from the files when a child process has read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import isfinite
from typing import Any

from aprtui.core.results import TensorResult
from aprtui.store.columns import NO_COMPARISON, Row, RowKind
from aprtui.store.row_status import RowStatus
from aprtui.store.run_view import RunView
from aprtui.store.tensor_history import EarlierResult
from aprtui.store.tensor_reading import Region, TensorReading
from aprtui.tui.paint import Line, Span
from aprtui.tui.widgets.behaviour import behaviour_lines_of
from aprtui.tui.widgets.block import block_at, block_lines, rule_line
from aprtui.tui.widgets.causes import cause_lines
from aprtui.tui.widgets.heat import CLOSE, HeatView, element_lines, holds
from aprtui.tui.widgets.histogram import histogram_lines
from aprtui.tui.widgets.lines import ScrollingLines, wrapped
from aprtui.tui.words import comparison_title, margin_text, number, outcome_span, status_span

_SIDE = 22
_MAP = "where the errors sit"
_WITH_RESULT = frozenset(RowStatus) - {RowStatus.RUNNING, RowStatus.WAITING, RowStatus.HIDDEN}
_WORST_SHOWN = 12
_OUTPUT_SHOWN = 200


class TensorDetail(ScrollingLines):
    """Detail of a row, as a pane or as a screen of its own."""

    def __init__(self) -> None:
        super().__init__(id="detail-lines")
        self.view: RunView | None = None
        self.row: Row | None = None
        self.reading: TensorReading | None = None
        self.problem = ""
        self.earlier: list[EarlierResult] = []
        self.heat = HeatView()
        self._not_read = ""

    def show_row(self, view: RunView, row: Row | None, problem: str = "") -> None:
        """Show a row; what was read of another one is void, and `problem` says why nothing is read."""
        if row is None or self.row is None or (row.number, row.offset) != (self.row.number, self.row.offset):
            self.reading, self.problem, self.earlier, self.heat = None, problem, [], HeatView()
            self._not_read = ""
        self.view, self.row = view, row
        self.refresh_lines_shown()

    def take_reading(self, reading: TensorReading | None, problem: str) -> None:
        """What the child process found, or why it found nothing."""
        self.reading, self.problem = reading, problem
        if reading is not None and reading.heat is not None:
            self.heat.go_to_worst(reading.heat, reading.worst)
        self.refresh_lines_shown()

    def take_earlier(self, earlier: list[EarlierResult]) -> None:
        """The same tensor in other runs."""
        self.earlier = earlier
        self.refresh_lines_shown()

    def on_resize(self) -> None:
        """Lines are cut at another width."""
        self.refresh_lines_shown()

    def pan(self, down: int, across: int) -> None:
        """Move on the map."""
        if self.reading is not None and self.reading.heat is not None:
            self.heat.pan(self.reading.heat, down, across, self.size.width - 2)
            self._not_read = ""
            self._show_map()

    def zoom(self, closer: int) -> None:
        """Look closer at the map."""
        if self.reading is not None and self.reading.heat is not None:
            self.heat.zoom(self.reading.heat, closer, self.size.width - 2)
            self._not_read = ""
            self._show_map()

    def _show_map(self) -> None:
        """Draw the map anew, and bring it into sight: a key that moves on it shows what it did."""
        self.refresh_lines_shown()
        at, top = self._line_of_map, self.scroll_offset.y
        if at is not None and not top <= at <= max(top, top + self.size.height - self.heat.height):
            self.scroll_to(y=at, animate=False)

    @property
    def _line_of_map(self) -> int | None:
        """Line of the map's head; None where there is no map."""
        heads = ("".join(text for text, _ in line).startswith(f" ── {_MAP} ") for line in self.lines)
        return next((number for number, is_head in enumerate(heads) if is_head), None)

    @property
    def wanted_region(self) -> tuple[range, range] | None:
        """Rows and columns whose elements to read: where the map shows single cells and one is looked at closer."""
        if self.reading is None or self.reading.heat is None or self.heat.closeness < CLOSE:
            return None
        return self.heat.region(self.reading.heat)

    @property
    def wanted_block(self) -> int | None:
        """Number of the block of the selected element; None where the target has no blocks."""
        if self.reading is None or self.reading.heat is None or not self.reading.block:
            return None
        return block_at(self.reading.block, (self.heat.row, self.heat.column), self.reading.heat.columns)

    @property
    def shows_what_is_selected(self) -> bool:
        """Whether nothing has to be read for the selected element."""
        if self.reading is None or self.reading.heat is None:
            return True
        region, block = self.wanted_region, self.wanted_block
        if block is not None and self.reading.block.get("index") != block:
            return False
        known = self.reading.elements
        return region is None or (known is not None and (known.row, known.column) == (region[0].start, region[1].start))

    def take_selected(self, region: Region | None, block: Mapping[str, Any], problem: str) -> None:
        """Elements around the selected one and its block, or why they were not read."""
        if self.reading is None:
            return
        self._not_read = problem
        if not problem:
            elements = region or self.reading.elements
            self.reading = replace(self.reading, elements=elements, block=block or self.reading.block)
        at, top = self._line_of_map, self.scroll_offset.y
        if at is not None and top <= at < top + self.size.height:
            self._show_map()
        else:
            self.refresh_lines_shown()

    def refresh_lines_shown(self) -> None:
        """Make the lines anew."""
        width = self.size.width
        self.heat.fit(self.size.height)
        if self.view is None or self.row is None or width < 10:
            self.show([] if self.row else [((" nothing is selected", "muted"),)])
            return
        self.show(self._lines_of(self.view, self.row, width))

    def _lines_of(self, view: RunView, row: Row, width: int) -> list[Line]:
        lines: list[Line] = [*wrapped(row.name, width - 2, "strong", " ")]
        state: list[Span] = [(" ", "text"), status_span(row.status)]
        if margin := margin_text(row):
            state.append((f"  margin {margin}", "fail" if row.status.is_failure else "text"))
        lines.append(state)
        if row.comparison != NO_COMPARISON:
            plan = view.plan.comparisons[row.comparison]
            lines.append(((f" {comparison_title(plan)}", "muted"),))
        for cause in view.causes(row.number):
            lines += rule_line("cause", width)
            lines += [((" ", "text"), *line) for line in cause_lines(cause, width - 3)]
        if row.kind is not RowKind.TENSOR:
            lines += [(), *wrapped(row.text, width - 2, "text", " ")]
            lines += _of_gate(view, row, width)
            lines += behaviour_lines_of(view, row, width)
            return [*lines, *self._elsewhere(view, row, width)]
        tensor = view.tensor(row.number)
        if tensor is None:
            return [*lines, (), ((" waits to be compared", "muted"),), *self._elsewhere(view, row, width)]
        lines += self._sides(tensor, width)
        lines += rule_line("tolerance", width)
        lines += wrapped(f"{tensor.tolerance.rule}: {tensor.tolerance.full_origin}", width - 2, "text", " ")
        lines += wrapped(tensor.judgement.sentence, width - 2, "fail" if row.status.is_failure else "text", " ")
        lines.append(((f" smallest limit that passes: {number(tensor.judgement.needed)}", "muted"),))
        lines += _errors(tensor, width)
        lines += behaviour_lines_of(view, row, width)
        lines += self._read_again(tensor, width)
        return [*lines, *self._elsewhere(view, row, width)]

    def _sides(self, tensor: TensorResult, width: int) -> list[Line]:
        reading = self.reading or TensorReading()
        table: list[tuple[str, str, str]] = [("dtype", tensor.source_dtype.value, tensor.target_dtype.value)]
        shape = _shape(tensor.shape)
        table.append(("shape", _shape(reading.source.get("shape")) or (shape if not tensor.layout else "…"), shape))
        for label, keys in (
            ("bytes", ("nbytes", "bytes")),
            ("offset", ("offset",)),
            ("min", ("min", "minimum")),
            ("max", ("max", "maximum")),
            ("mean", ("mean",)),
            ("std", ("std",)),
        ):
            values = [
                next((side[key] for key in keys if key in side), None) for side in (reading.source, reading.target)
            ]
            if any(value is not None for value in values):
                table.append((label, _fact(label, values[0]), _fact(label, values[1])))
        record = tensor.record
        nans = f"{record.nan_a} / {record.inf_a}", f"{record.nan_b} / {record.inf_b}"
        table.append(("NaN / Inf", *nans))
        side = min(_SIDE, max(12, (width - 14) // 2))
        lines: list[Line] = [(), ((f" {'':<11} {'SOURCE':<{side}} TARGET", "muted"),)]
        for label, source, target in table:
            lines.append(((f" {label:<11} ", "muted"), (f"{source:<{side}} ", "text"), (target, "text")))
        layout = tensor.layout or "rows as stored"
        return [*lines, *wrapped(f"layout: {layout}", width - 2, "muted", " ")]

    def _read_again(self, tensor: TensorResult, width: int) -> list[Line]:
        reading = self.reading
        if reading is None:
            text = self.problem or "reading the files …"
            return [*rule_line("from the files", width), *wrapped(text, width - 2, "muted", " ")]
        lines: list[Line] = []
        if reading.histogram:
            lines += rule_line("elements by |Δ|, in decades", width)
            lines += histogram_lines(reading.histogram, tensor, width)
        if reading.heat is not None:
            lines += rule_line(_MAP, width)
            lines += self.heat.lines(reading.heat, width - 2)
            if self.heat.closeness >= CLOSE:
                lines += self._element_lines(reading.elements, width)
            lines += self.heat.worst_lines(reading, reading.heat)
        if reading.worst:
            lines += rule_line("worst elements", width)
            for element in reading.worst[:_WORST_SHOWN]:
                place = ",".join(map(str, element.index))
                values = f"{number(element.source):>10} → {number(element.target):>10}"
                lines.append(((f" [{place}]".ljust(18), "muted"), (f"{values}  {number(element.ulp)} ULP", "text")))
        if reading.block:
            lines += block_lines(reading.block, width)
        for note in reading.notes:
            lines += wrapped(note, width - 2, "warn", " ")
        return lines

    def _element_lines(self, region: Region | None, width: int) -> list[Line]:
        """Both values around the selected element; where it is not among those that were read, why."""
        selected = self.heat.row, self.heat.column
        if region is None or not holds(region, selected):
            return wrapped(self._not_read or "reading both values …", width - 2, "muted", " ")
        return element_lines(region, selected, width, self.heat.element_rows)

    def _elsewhere(self, view: RunView, row: Row, width: int) -> list[Line]:
        lines: list[Line] = []
        for index, comparison in enumerate(view.comparisons):
            other = view.columns.tensor(index, row.name)
            if other is not None and other != row.number and view.columns.status(other) in _WITH_RESULT:
                found = view.columns.row(other)
                title = comparison_title(comparison.plan)
                lines.append(
                    (("  ", "text"), status_span(found.status), (f"  {title:<28} {margin_text(found)}", "text"))
                )
        if lines:
            lines = [*rule_line("same tensor in this run", width), *lines]
        if self.earlier:
            lines += rule_line("same tensor in other runs", width)
            for one in self.earlier:
                judged = one.result.judgement
                lines.append(
                    (
                        ("  ", "text"),
                        outcome_span(judged.outcome),
                        (
                            f"  {one.run_id:<22} {number(judged.margin)} {judged.unit}",
                            "text",
                        ),
                    )
                )
        return lines


def _of_gate(view: RunView, row: Row, width: int) -> list[Line]:
    """What a gate that looks at no comparison printed."""
    gate = view.gates.get(row.name) if row.comparison == NO_COMPARISON else None
    lines: list[Line] = []
    for name, text in (("output", gate.output), ("standard error", gate.stderr or "")) if gate is not None else ():
        if text.strip():
            lines += rule_line(name, width)
            shown = text.strip().splitlines()
            lines += [one for line in shown[:_OUTPUT_SHOWN] for one in wrapped(line, width - 2, "muted", " ")]
            if len(shown) > _OUTPUT_SHOWN:
                lines.append(((f" … {len(shown)} lines in all", "muted"),))
    return lines


def _shape(shape: object) -> str:
    return f"[{', '.join(map(str, shape))}]" if isinstance(shape, list | tuple) else ""


def _fact(label: str, value: object) -> str:
    if value is None:
        return "—"
    if label == "bytes" and isinstance(value, int):
        return f"{value:,}".replace(",", " ")
    if label == "offset" and isinstance(value, int):
        return f"0x{value:x}"
    return number(value) if isinstance(value, int | float) else str(value)


def _errors(tensor: TensorResult, width: int) -> list[Line]:
    record = tensor.record
    lines = rule_line("error against the source", width)
    if not record.differing:
        return [*lines, ((f" none: all {record.elements:,} elements equal".replace(",", " "), "pass"),)]
    share = record.differing / record.elements if record.elements else 0.0
    place = _shape(_place(record.max_abs_index, tensor.shape))
    sqnr = record.sqnr_db
    facts = [
        ("max|Δ|", f"{number(record.max_abs)} at {place}"),
        ("", f"source {number(record.max_abs_a)} → target {number(record.max_abs_b)}"),
        ("differing", f"{record.differing:,} of {record.elements:,} ({share:.2%})".replace(",", " ")),
        ("max ULP", number(record.max_ulp)),
        ("RMSE", f"{number(record.rmse)}   mean error {number(record.mean_error)}"),
        ("NMSE", f"{number(record.nmse)}   SQNR {'—' if not isfinite(sqnr) else f'{sqnr:.1f} dB'}"),
        ("1 - cos", number(record.cosine_distance)),
    ]
    named = (("overflowed", record.overflowed), ("flushed to zero", record.flushed), ("truncated", record.truncated))
    facts += [(what, f"{amount:,}".replace(",", " ")) for what, amount in named if amount]
    lines += [((f" {label:<15} ", "muted"), (text, "text")) for label, text in facts]
    return [*lines, *_certificate(tensor, width)]


def _certificate(tensor: TensorResult, width: int) -> list[Line]:
    facts = tensor.record.certificate
    if facts is None:
        return []
    clauses = (
        ("a codes nearest", facts.code_violations, f"worst {number(facts.worst_code_steps)} steps off"),
        (
            "b scale honest",
            facts.scale_violations,
            f"worst {number(facts.worst_scale_ulp)} ULP, error ratio {number(facts.worst_error_ratio)}",
        ),
        ("c zero scales", facts.zero_violations, f"{facts.zero_scales} zero scales"),
    )
    lines = rule_line(f"certificate of {facts.blocks} blocks", width)
    for name, violations, text in clauses:
        glyph: Span = ("✗", "fail") if violations else ("✓", "pass")
        head: list[Span] = [(" ", "text"), glyph, (f" {name:<16}{violations:>8} violate", "text")]
        lines += [[*head, (f"  {text}", "muted")]] if width >= 72 else [head, ((f"   {text}", "muted"),)]
    if facts.first_violation >= 0:
        lines.append(((f"   first is block {facts.first_violation}", "muted"),))
    return lines


def _place(flat: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Coordinates of a flat index."""
    place = []
    for dimension in reversed(shape):
        flat, at = divmod(flat, max(1, dimension))
        place.append(at)
    return tuple(reversed(place))
