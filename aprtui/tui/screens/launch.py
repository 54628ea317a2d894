"""The launch dialog: what will run, through which program, and the same as a command line."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from textual import on

from aprtui.core.errors import AprtuiError
from aprtui.core.gate_table import CONVERSION_PAIRS
from aprtui.core.json_values import from_json
from aprtui.settings import load_settings
from aprtui.store.plan import RunPlan
from aprtui.tui.paint import Line
from aprtui.tui.screens.dialog import FormDialog
from aprtui.tui.services.children import ask, command_line
from aprtui.tui.widgets.form import Choice, Form
from aprtui.tui.widgets.lines import wrapped
from aprtui.tui.words import plural, size

_CONVERTERS = ("apr", "llama.cpp", "builtin")
_END, _KEPT = "end with the run", "kept for later runs and details"
_ALL, _FAILED, _ROW = "all gates", "failed last time", "gate of this row"
_AS_PLAYBOOK, _ON_CPU, _ON_GPU = "as the playbook says", "run on the CPU", "run on the GPU"
_NO_GPU = f"{_ON_CPU}: no GPU here"
_WIDTH = 74
_NAMES_SHOWN = 8
_LINES_FOUND = 6
_KEYS = "⏎ run   ↑↓ row   ←→ option   space choose   y copy   esc cancel"


@dataclass(frozen=True, slots=True)
class LaunchRequest:
    """What the dialog starts from.

    Attributes:
        playbook: The playbook.
        converter: Name of the converter of the run before.
        model: Model of the run before; empty for the playbook's.
        failed_of: Run whose failures to run again.
        gates: Gates to run.
        tensor: Tensor to narrow the run to.
    """

    playbook: Path
    converter: str = ""
    model: str = ""
    failed_of: Path | None = None
    gates: tuple[str, ...] = ()
    tensor: str = ""

    @classmethod
    def of(
        cls,
        playbook: Path,
        plan: RunPlan | None,
        *,
        failed_of: Path | None = None,
        gates: tuple[str, ...] = (),
        tensor: str = "",
    ) -> LaunchRequest:
        """As the run before was started."""
        converter = plan.converter.name if plan is not None and plan.converter is not None else ""
        given = plan is not None and plan.model.how.startswith(("named", "given", "--model"))
        model = plan.model.path if given and plan is not None else ""
        return cls(playbook, converter, model, failed_of, gates, tensor)


class LaunchDialog(FormDialog[list[str]]):
    """Gives the arguments of the command, or None.

    Args:
        request: What to start from.
    """

    def __init__(self, request: LaunchRequest) -> None:
        self._request = request
        scopes = [_ALL]
        if request.failed_of is not None:
            scopes.append(_FAILED)
        if request.gates:
            scopes.append(_ROW)
        names = converter_names()
        if request.converter and request.converter not in names:
            # Its settings are gone: what it would do is said, and no other takes its place unasked.
            names.insert(0, request.converter)
        start = names.index(request.converter) if request.converter else 0
        jobs = [str(number) for number in (1, 2, 4, 8, 16, 32) if number <= (os.cpu_count() or 1)] or ["1"]
        pairs = [f"{gate.source}-{gate.target}" for gate in CONVERSION_PAIRS]
        self._scope = Choice("Gates", scopes, {len(scopes) - 1})
        self._converter = Choice("Converter", names, {start})
        self._pairs = Choice("Pairs", pairs, set(range(len(pairs))), several=True)
        devices = (_ON_CPU, _ON_GPU) if shutil.which("nvidia-smi") else (_NO_GPU,)
        self._models = Choice("Models", (_AS_PLAYBOOK, *devices))
        self._jobs = Choice("Threads", jobs, {min(len(jobs) - 1, 3)})
        self._products = Choice("Products", [_END, _KEPT])
        choices = [self._scope, self._converter, self._pairs, self._models, self._jobs, self._products]
        super().__init__(f"Run {request.playbook.name.removesuffix('.yaml').removesuffix('.playbook')}", choices, _KEYS)
        self._found: Sequence[Line] = ()
        self._asked: list[str] = []

    def on_mount(self) -> None:
        """Ask what such a run would do."""
        self.form.focus()
        self._changed()

    def arguments(self) -> list[str]:
        """The command line without the program."""
        request = self._request
        arguments = ["run", str(request.playbook)]
        if request.model:
            arguments += ["--model", request.model]
        arguments += ["--converter", self._converter.value]
        if self._scope.value == _FAILED and request.failed_of is not None:
            arguments += ["--failed-of", str(request.failed_of)]
        if self._scope.value == _ROW:
            arguments += [part for gate in request.gates for part in ("--gate", gate)]
            arguments += ["--tensor", request.tensor] if request.tensor else []
        elif len(self._pairs.chosen) < len(self._pairs.options):
            arguments += [part for pair in self._pairs.values for part in ("--pair", pair)]
        if self._models.value != _AS_PLAYBOOK:
            arguments += ["--level", "all", "--device", "cuda" if self._models.value == _ON_GPU else "cpu"]
        output = self.console.options.output
        if self._products.value == _KEPT:
            arguments += ["--scratch", str(output / "products")]
        return [*arguments, "--jobs", self._jobs.value, "--output-dir", str(output)]

    @on(Form.Changed)
    def _changed(self) -> None:
        arguments = self.arguments()
        if self._is_nothing:
            self._asked, self._found = [], ((("no pair is chosen: space chooses one", "warn"),),)
        elif [*arguments[:-4]] != self._asked:
            self._asked = arguments[:-4]
            self._found = ((("looking at model, converter and gates …", "muted"),),)
            self.run_worker(self._look(self._asked), exclusive=True, group="plan")
        self._write()

    async def _look(self, arguments: list[str]) -> None:
        """Ask a child for the plan: opening models is not for this process."""
        answer = await ask([*arguments, "--dry-run", "--format", "json"])
        if answer.problem:
            self._found = wrapped(answer.problem.removeprefix("aprtui: "), _WIDTH, "warn")
        else:
            try:
                self._found = plan_lines(
                    from_json(RunPlan, answer.value), self._converter.value, answer.value.get("why_made")
                )
            except ValueError as error:
                self._found = wrapped(str(error), _WIDTH, "warn")
        self._write()

    def _write(self) -> None:
        command = wrapped(command_line(self.arguments()), _WIDTH, "text")
        # As high as it will be, so that the dialog does not jump when the child answers.
        found = [*self._found, *[()] * (_LINES_FOUND - len(self._found))]
        self.note([*found, (), (("the same without a screen (y copies):", "muted"),), *command])

    def to_copy(self) -> tuple[str, str]:
        """The command line."""
        return command_line(self.arguments()), "the command"

    def submit(self) -> None:
        """Run it."""
        if not self._is_nothing:
            self.dismiss(self.arguments())

    @property
    def _is_nothing(self) -> bool:
        return self._scope.value != _ROW and not self._pairs.chosen


def converter_names() -> list[str]:
    """Converters that aprtui knows, and those of the settings."""
    try:
        own = load_settings().converters
    except AprtuiError:
        own = {}
    return list(dict.fromkeys((*_CONVERTERS, *own)))


def plan_lines(plan: RunPlan, name: str, why_made: object) -> list[Line]:
    """What a plan will do: through which program, how much of it is converted or reused, and how much disk that takes.

    Args:
        plan: The plan.
        name: Of the converter that was asked for.
        why_made: For each conversion why it is made; empty where a product is reused.
    """
    converter = plan.converter
    if converter is None:
        lines = wrapped(f"{name} is not on this machine: gates that need a conversion will be Skipped", _WIDTH, "warn")
    else:
        path = converter.path or "part of aprtui"
        lines = wrapped(f"{converter.name} {converter.version} · {path}", _WIDTH, "strong")
    lines += wrapped(f"model {plan.model.path}", _WIDTH, "muted")
    compared = sum(comparison.estimated_bytes for comparison in plan.comparisons)
    parts = [
        plural(len(plan.gates), "gate"),
        plural(len(plan.conversions), "conversion"),
        f"{plural(len(plan.comparisons), 'comparison')}, {size(compared)} to read",
        f"{size(plan.peak_bytes)} disk",
    ]
    lines += wrapped(" · ".join(parts), _WIDTH, "text")
    return [*lines, *_conversion_lines(plan, why_made if isinstance(why_made, Mapping) else {})]


def _conversion_lines(plan: RunPlan, why_made: Mapping[str, object]) -> list[Line]:
    """Conversions by what becomes of them: reused, or made for a reason."""
    by_reason: dict[str, list[str]] = {}
    for one in plan.conversions:
        reason = str(why_made.get(one.conversion_id, "by this run"))
        by_reason.setdefault(reason, []).append(one.conversion_id.replace(">", "→"))
    lines: list[Line] = []
    for reason in sorted(by_reason):
        names = by_reason[reason]
        text = ", ".join(names[:_NAMES_SHOWN])
        more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
        if reason:
            lines += wrapped(f"converted: {text}{more} ({reason})", _WIDTH, "muted")
        else:
            lines += wrapped(f"reused: {text}{more}", _WIDTH, "pass")
    return lines
