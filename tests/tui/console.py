"""Drives the console in tests: a size, a body that presses keys, and what stands on the screen afterwards."""

import asyncio

from aprtui.core.json_values import to_json
from aprtui.settings import ConsoleSettings
from aprtui.tui.app import ConsoleApp
from aprtui.tui.options import ConsoleOptions, Opening
from aprtui.tui.services.children import Answer

CHILDREN = [
    f"aprtui.tui.{place}.ask" for place in ("screens.launch", "screens.models", "screens.compare", "services.follow")
]
CHILDREN += ["aprtui.tui.services.tensors.ask"]

SMALL, MEDIUM, LARGE = (80, 24), (120, 40), (200, 50)


def drive(body, *, size=SMALL, run=None, gate="", playbooks=(), readonly=False, output=None, **settings):
    """Run the console at a size, on a run or on the list, and give `body` the application and the pilot."""
    settings.setdefault("theme", "aprtui-dark")
    options = ConsoleOptions(
        settings=ConsoleSettings(**settings),
        readonly=readonly,
        playbooks=tuple(playbooks),
        **({} if output is None else {"output": output}),
    )

    async def main():
        app = ConsoleApp(options, Opening(run, gate))
        async with app.run_test(size=size) as pilot:
            await settled(app, pilot)
            await body(app, pilot)

    asyncio.run(main())


async def settled(app, pilot, seconds=5.0):
    """Wait until lists are read and the journal is read to its end."""
    await until(pilot, lambda: app.runs_read and app.playbooks_read, seconds)
    await until(pilot, lambda: app.current is None or app.follower.caught_up, seconds)
    await pilot.pause()


async def until(pilot, holds, seconds=5.0):
    """Wait for something, at most so long."""
    for _ in range(int(seconds / 0.02)):
        if holds():
            return
        await pilot.pause(0.02)
    raise AssertionError("waited too long")


def text_of(app):
    """What stands on the screen, line by line."""
    _, height = app.size
    lines = app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip).rstrip() for strip in lines[:height]]


def shows(app, text):
    return text in "\n".join(text_of(app))


def assert_shows(app, *texts):
    screen = "\n".join(text_of(app))
    for text in texts:
        assert text in screen, f"{text!r} is not on the screen:\n{screen}"


def answers_with(monkeypatch, place, value, problem="", code=0):
    """Answers of a child process without one; the list holds what was asked."""
    asked = []

    async def ask(arguments, seconds=60.0):
        asked.append(arguments)
        return Answer(None if value is None else to_json(value), problem, code or (3 if problem else 0))

    monkeypatch.setattr(place, ask)
    return asked
