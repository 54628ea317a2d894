"""The list of models: what was found, what it lacks, and why there is none."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest
from console import answers_with, assert_shows, drive, shows, text_of, until
from fixture_files import FIXTURES

from aprtui.tui.services.children import Answer, ask

MODEL = {
    "name": "org/small",
    "path": "/models/small",
    "facts": {
        "format": "safetensors",
        "architecture": "llama",
        "parameters": 1_500_000,
        "bytes": 3_000_000,
        "tensors_by_type": {"BF16": 21},
        "lacks": ["chat template"],
    },
}


def test_models_are_listed_with_what_they_lack(playbooks, monkeypatch):
    broken = {"path": "/models/broken", "problem": "the header is no JSON"}
    answer = [{"place": "cache", "models": [MODEL, broken, 3]}, 4]
    asked = answers_with(monkeypatch, "aprtui.tui.screens.models.ask", answer)

    async def body(app, pilot):
        await pilot.press("2")
        await until(pilot, lambda: shows(app, "org/small"))
        await pilot.press("j")
        assert asked == [["models", "--format", "json"]]
        assert_shows(app, "safetensors", "llama", "1.5M", "3 MB", "BF16×21", "lacks chat template", "playbooks: none")
        assert_shows(app, "/models/broken", "! the header is no JSON", "2 of 2")
        await pilot.press("slash", *"small", "enter")
        assert_shows(app, "1 of 2")

    drive(body, playbooks=[playbooks])


def test_models_of_a_folder_are_told_apart_at_80_columns_and_mean_only_their_own_playbook(playbooks, monkeypatch):
    top = "/srv/a/folder/with/a/long/path/to/it"
    facts = MODEL["facts"]
    names = ("demo/model.safetensors", "demo-large/model.safetensors", f"{'deep/' * 9}m/model.safetensors")
    models = [{"name": None, "path": f"{top}/{name}", "facts": facts} for name in names]
    answers_with(monkeypatch, "aprtui.tui.screens.models.ask", [{"place": "mine", "path": top, "models": models}])
    path = playbooks / "demo.playbook.yaml"
    path.write_text(path.read_text().replace("hf_repo: org/demo", f"hf_repo: org/demo\n  local_path: {top}/x/../demo"))

    async def body(app, pilot):
        await pilot.press("2")
        await until(pilot, lambda: shows(app, "1.5M"))
        lines = text_of(app)
        assert lines[5].startswith("  demo/model.safetensors ") and lines[4].startswith("  demo-large/model.safe")
        assert lines[3].startswith("▌ …deep/") and "/m/model.safetensors" in lines[3]
        await pilot.press("j")
        assert_shows(app, f"{top}/demo-large/model.safetensors", "playbooks: none")
        await pilot.press("j")
        assert_shows(app, f"{top}/demo/model.safetensors", "playbooks: demo.playbook.yaml")

    drive(body, playbooks=[playbooks])


@pytest.mark.parametrize(
    ("value", "problem", "says"),
    [
        (None, "a folder cannot be read", "a folder cannot be read"),
        ([], "", "There are no models in the caches of this machine."),
        ({"no": "list"}, "", "There are no models"),
    ],
)
def test_a_list_of_models_that_is_empty_says_why(value, problem, says, playbooks, monkeypatch):
    answers_with(monkeypatch, "aprtui.tui.screens.models.ask", value, problem)

    async def body(app, pilot):
        await pilot.press("2")
        await until(pilot, lambda: shows(app, says))

    drive(body, playbooks=[playbooks])


def test_models_that_are_looked_for_say_so(playbooks, monkeypatch):
    async def ask(arguments, seconds=60.0):
        await asyncio.sleep(30)

    monkeypatch.setattr("aprtui.tui.screens.models.ask", ask)

    async def body(app, pilot):
        await pilot.press("2")
        assert_shows(app, "looking for models …")

    drive(body, playbooks=[playbooks])


def test_models_follow_their_folders(playbooks, tmp_path, monkeypatch):
    """As the real `aprtui models` finds them: one that comes, and one that goes."""
    place = tmp_path / "models"
    (place / "deep").mkdir(parents=True)
    monkeypatch.setattr("aprtui.tui.screens.models.ask", ask)
    settings = Path(os.environ["XDG_CONFIG_HOME"]) / "aprtui" / "settings.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(f'model_folders = ["{place}"]\n')
    first = FIXTURES / "qwen2-tiny/gguf/Q8_0.gguf"
    shutil.copy(first, place / "deep/first.gguf")

    async def body(app, pilot):
        await pilot.press("2")
        await until(pilot, lambda: shows(app, "1 of 1"), 30)
        shutil.copy(first, place / "deep/second.gguf")
        await until(pilot, lambda: shows(app, "2 of 2"), 30)
        assert_shows(app, "second.gguf")
        (place / "deep/first.gguf").unlink()
        await until(pilot, lambda: shows(app, "1 of 1"), 30)
        assert not shows(app, "first.gguf")
        await pilot.press("enter")
        await until(pilot, lambda: shows(app, "tokenizer  512 tokens"), 30)
        assert_shows(
            app, "GGUF v3 · qwen2", "26 tensors", "Q8_0×", "files      second.gguf", "num_hidden_layers", "esc close"
        )

    drive(body, playbooks=[playbooks])


def test_a_model_that_changes_while_it_is_read_is_read_again(playbooks, tmp_path, monkeypatch):
    model = tmp_path / "m.gguf"
    model.write_bytes(b"")
    asked = []

    async def ask(arguments, seconds=60.0):
        asked.append(arguments)
        if len(asked) == 2:
            os.utime(model, ns=(2, 2))
        facts = {**MODEL["facts"], "parameters": 1000 * len(asked)}
        return Answer([{"place": "p", "path": str(tmp_path), "models": [{"path": str(model), "facts": facts}]}], "", 0)

    monkeypatch.setattr("aprtui.tui.screens.models.ask", ask)
    monkeypatch.setattr("aprtui.tui.screens.models._LOOK_S", 0.1)

    async def body(app, pilot):
        await pilot.press("2")
        await until(pilot, lambda: len(asked) == 1)
        await pilot.pause(0.3)
        os.utime(model, ns=(1, 1))
        await until(pilot, lambda: len(asked) == 3)
        await pilot.pause(0.5)
        assert len(asked) == 3

    drive(body, playbooks=[playbooks])
