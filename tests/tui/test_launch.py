"""The launch dialog: what it says of a run before it begins, and the command that does the same."""

from dataclasses import replace

import pytest
from console import LARGE, SMALL, answers_with, assert_shows, drive, shows, until
from run_folders import (
    plan_of,
    whole_run,
    write_run,
)

from aprtui.core.events import (
    ComparisonFinished,
    LevelFinished,
)
from aprtui.core.findings import LevelResult
from aprtui.core.json_values import to_json
from aprtui.core.outcomes import Level, Outcome
from aprtui.store.plan import PlannedGate


def test_a_launch_names_converter_version_and_command(tmp_path, playbooks, monkeypatch):
    plan = plan_of(tmp_path, playbook=playbooks / "demo.playbook.yaml")
    answers_with(monkeypatch, "aprtui.tui.screens.launch.ask", plan)

    async def body(app, pilot):
        await pilot.press("r")
        await until(pilot, lambda: shows(app, "/usr/bin/apr"))
        assert_shows(app, "apr 0.72.3 · /usr/bin/apr", "2 gates · 1 conversion ·", "aprtui run", "--converter apr")
        await pilot.press("down", "right", "right")
        assert_shows(app, "--converter builtin")

    drive(body, playbooks=[playbooks])


def test_a_launch_lists_what_is_reused_and_what_is_converted_again(tmp_path, playbooks, monkeypatch):
    plan = plan_of(tmp_path, playbook=playbooks / "demo.playbook.yaml", comparisons=("S>G", "S>A"))
    made = {"S>G": "", "S>A": "its source is newer than the one that is kept"}
    answers_with(monkeypatch, "aprtui.tui.screens.launch.ask", to_json(plan) | {"why_made": made})

    async def body(app, pilot):
        await pilot.press("r")
        await until(pilot, lambda: shows(app, "reused: S→G"))
        assert_shows(app, "converted: S→A (its source is newer than the one that is kept)")

    drive(body, playbooks=[playbooks])


def test_a_machine_without_a_gpu_is_told_before_and_after_a_run(tmp_path, playbooks, monkeypatch):
    monkeypatch.setattr("aprtui.tui.screens.launch.shutil.which", lambda _: None)
    reason = "behaviour: device cuda: torch sees no CUDA device here; use --device cpu"
    skipped = LevelResult(Level.BEHAVIOUR, Outcome.SKIPPED, not_checked=(reason,))
    events = [event for event in whole_run() if not isinstance(event, ComparisonFinished)]
    events[-2:-2] = [LevelFinished("S~S>G", skipped), ComparisonFinished("S~S>G", Outcome.SKIPPED, "Weights equal")]
    folder = write_run(tmp_path, events, playbook=playbooks / "demo.playbook.yaml")

    async def body(app, pilot):
        await pilot.press("slash", *"behaviour", "enter")
        assert_shows(app, "- SKIP behaviour", "device cuda: torch sees no CUDA device here")
        await pilot.press("r")
        assert_shows(app, "run on the CPU: no GPU here")
        await pilot.press("down", "down", "down", "right")
        assert app.screen.arguments()[-8:-4] == ["--level", "all", "--device", "cpu"]

    drive(body, run=folder.path, playbooks=[playbooks])


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_a_launch_shows_its_command_and_keys_however_much_there_is_to_say(size, tmp_path, playbooks, monkeypatch):
    targets = tuple(f"S>{'G>S>' * number}G" for number in range(1, 30))
    plan = plan_of(tmp_path, playbook=playbooks / "demo.playbook.yaml", comparisons=targets)
    made = {one: f"reason {number % 7}" for number, one in enumerate(targets)}
    answers_with(monkeypatch, "aprtui.tui.screens.launch.ask", to_json(plan) | {"why_made": made})

    async def body(app, pilot):
        await pilot.press("r")
        await until(pilot, lambda: shows(app, "reason 0"))
        assert_shows(app, "▌Gates", "esc cancel", "╰")
        await pilot.press("pagedown", "pagedown")
        assert_shows(app, "aprtui run", "esc cancel")

    drive(body, size=size, playbooks=[playbooks])


def test_a_launch_says_what_is_missing(tmp_path, playbooks, monkeypatch):
    answers_with(monkeypatch, "aprtui.tui.screens.launch.ask", None, "model org/demo is not on this machine")

    async def body(app, pilot):
        await pilot.press("r")
        await until(pilot, lambda: shows(app, "not on this machine"))

    drive(body, playbooks=[playbooks])


def test_a_row_is_run_again_by_the_gate_of_its_pair(tmp_path, playbooks, monkeypatch):
    answers_with(monkeypatch, "aprtui.tui.screens.launch.ask", None, "not now")
    plan = plan_of(tmp_path, playbook=playbooks / "demo.playbook.yaml", converter="mine")
    content = PlannedGate("F-CONV-WEIGHT-001", ("S~S>G",), (Level.WEIGHTS,), "lossless")
    folder = write_run(tmp_path, whole_run(), plan=replace(plan, gates=(content, *plan.gates)))

    async def body(app, pilot):
        await pilot.press("slash", *"k_proj", "enter", "v")
        await pilot.pause()
        command = " ".join(app.screen.arguments())
        assert "--gate F-CONV-S-G --tensor model.layers.0.self_attn.k_proj.weight" in command
        # Nor does another converter take the place of one that the settings do not have any more.
        assert "--converter mine" in command
        await pilot.press("escape", "escape", "t", "j", "j", "v")
        await pilot.pause()
        command = " ".join(app.screen.arguments())
        assert f"--gate {app.screen_stack[-2].chosen_gate}" in command and "--tensor" not in command

    drive(body, run=folder.path, size=LARGE)


def test_a_run_of_no_pair_is_none(playbooks, monkeypatch):
    answers_with(monkeypatch, "aprtui.tui.screens.launch.ask", None, "not now")

    async def body(app, pilot):
        await pilot.press("r", "down", "down")
        for _ in range(6):
            await pilot.press("space", "right")
        await pilot.press("enter")
        await pilot.pause()
        assert_shows(app, "no pair is chosen: space chooses one")
        assert_shows(app, "the same without a screen")

    drive(body, playbooks=[playbooks], size=LARGE)
