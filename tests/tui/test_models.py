"""The list of models: what was found, what it lacks, and why there is none."""

import asyncio

import pytest
from console import answers_with, assert_shows, drive, shows, until

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
        assert asked == [["models", "--format", "json"]]
        assert_shows(app, "safetensors", "llama", "1.5M", "3 MB", "BF16×21", "lacks chat template", "playbooks: none")
        assert_shows(app, "/models/broken", "! the header is no JSON", "2 of 2")
        await pilot.press("j", "slash", *"small", "enter")
        assert_shows(app, "1 of 2")

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
