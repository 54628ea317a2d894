"""Names, reasons and log lines of strangers go through every view: no crash, no markup, no escape byte."""

import json
from dataclasses import replace

import pytest
from console import SMALL, answers_with, assert_shows, drive, text_of, until
from rich.cells import cell_len
from run_folders import alive, elsewhere, finding, level, plan_of, tensor, whole_run, write_run
from variants import variants

from aprtui.core.events import ComparisonFinished, ConverterFacts, GateFinished, RunStarted, TensorFinished, WorkerDied
from aprtui.core.findings import FindingKind
from aprtui.core.outcomes import Level, Outcome
from aprtui.engine.evidence_run import open_evidence
from aprtui.tui.paint import fit, shown
from aprtui.tui.screens.attach import AttachDialog
from aprtui.tui.screens.dialog import Dialog, TextDialog

CORPUS = (
    "blk[/0].w",
    "[bold]x[/bold]",
    "[@click=app.quit]press[/]",
    "[link=file:///etc/passwd]x[/link]",
    "[$primary]",
    "[[[[",
    "]]]",
    "[/]",
    "\\[escaped]",
    "{brace}",
    "%s %d",
    "\x1b[31mred",
    "\x1b]52;c;cm0gLXJmIC8=\x07",
    "\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\",
    "\x1b]0;title\x07",
    "\x1bP+q544e\x1b\\",
    "\x1b_Gf=100;AAAA\x1b\\",
    "\x1b[2J\x1b[H",
    "\x1b[?1049l",
    "\x1bc",
    "\x9b31m",
    "\x9d52;c;AAAA\x9c",
    "\x90q\x9c",
    "\x00nul",
    "\x07bell",
    "\x08\x08back",
    "\x7fdelete",
    "line\nbreak",
    "carriage\rreturn",
    "tab\there",
    "\x0b\x0c",
    "\u202eevil\u202c",
    "\u2066iso\u2069",
    "\u200bzero\u200dwidth\u200c",
    "\ufeffbom",
    "a\u0301\u0301\u0301\u0301",
    "\u2028line\u2029para",
    "한국어.weight",
    "日本語の重み.weight",
    "👨‍👩‍👧‍👦.weight",
    "🏳️‍🌈",
    "\U000e0041tag",
    "\ud800lone",
    "\uffff",
    "x" * 4096,
    "一" * 2000,
    "." * 300,
    "",
    " ",
    "   leading",
    "…",
    "▌✗ FAIL forged",
    "'; DROP TABLE",
    "../../etc/passwd",
    "$(reboot)",
    "`reboot`",
    "C:\\con",
    "-rf",
    "--help",
    "=1+1",
    "Ａ.fullwidth",
    "م.عربي",
)


@pytest.mark.parametrize("name", CORPUS)
def test_what_is_shown_holds_no_control_character(name):
    for ascii_only in (False, True):
        text = shown(name, ascii_only=ascii_only)
        assert all(character.isprintable() for character in text)
        assert not ascii_only or text.isascii()
        for width in (1, 2, 5, 30):
            assert cell_len(fit(text, width)) == width
            assert cell_len(fit(text, width, keep_end=True)) == width


def hostile_run(tmp_path):
    names = tuple(dict.fromkeys(name.encode("utf-8", "replace").decode() for name in CORPUS))
    events = whole_run(names)[:-2]
    for text in names:
        named = finding(text, text, FindingKind.OTHER, Level.METADATA)
        events.append(level(Level.METADATA, [named, finding(text, text)]))
    events.append(WorkerDied(0, 1, names[0], names[11], names))
    events.append(ComparisonFinished("S~S>G", Outcome.CRASHED, names[12], stderr="\n".join(names)))
    events.append(GateFinished("F-CONV-S-G", Outcome.CRASHED, names[2], "e", 1, stderr=names[13]))
    folder = write_run(tmp_path, events)
    folder.stderr.write_bytes("\n".join(CORPUS).encode("utf-8", "surrogatepass"))
    return folder


def hostile_runs(output):
    """Runs whose folders, playbooks, converters and models have the names; the last one lives, one cannot be read."""
    names = tuple(dict.fromkeys(name.encode("utf-8", "replace").decode() for name in CORPUS))
    for number, name in enumerate(names):
        run_id = f"202601{number:02}-{name.replace('/', '_').replace(chr(0), '')[:40]}"
        plan = plan_of(output, run_id=run_id)
        facts = replace(plan.playbook, name=name, path=f"{output}/{name}", version=name)
        converter = ConverterFacts(name, name, name, name)
        model = replace(plan.model, path=name)
        plan = replace(plan, playbook=facts, converter=converter, model=model, evidence=name, scratch=name)
        last = name == names[-1]
        folder = write_run(output, whole_run(), plan=plan, run_id=run_id, engine=alive() if last else None)
        if last:
            folder.journal.write_bytes(b"".join(folder.journal.read_bytes().splitlines(keepends=True)[:-1]))
    unreadable = write_run(output, whole_run(), run_id=f"20260199-{CORPUS[12]}"[:60])
    (unreadable.path / "plan.json").write_text(json.dumps({"run_id": names, CORPUS[12]: CORPUS[20]}))
    return folder


def no_control_character(app):
    for line in text_of(app):
        assert all(character.isprintable() for character in line), ascii(line)


@variants("ascii_only", [False, True])
def test_every_view_takes_the_corpus(tmp_path, ascii_only, playbooks):
    for number, name in enumerate(CORPUS):
        safe = name.encode("utf-8", "replace").decode().replace("\x00", "").replace("/", "_")[:60]
        try:
            (playbooks / f"{number}{safe}.yaml").write_text("name: [", encoding="utf-8")
        except (OSError, ValueError):
            continue
    folder = hostile_run(tmp_path)

    async def body(app, pilot):
        for _ in range(3):
            no_control_character(app)
            await pilot.press("ctrl+d")
        await pilot.press("enter")
        no_control_character(app)
        for _ in range(8):
            await pilot.press("right_square_bracket")
            no_control_character(app)
        await pilot.press("escape", "y")
        no_control_character(app)
        await pilot.press("escape")
        for view in "12345":
            await pilot.press(view)
            no_control_character(app)
            await pilot.press("G")
            no_control_character(app)
        app.say(CORPUS[2])
        app.say(CORPUS[12], "error")
        app.show_error(CORPUS[1], "\n".join(CORPUS))
        await pilot.pause()
        no_control_character(app)
        assert app.is_running

    drive(body, size=SMALL, run=folder.path, playbooks=[playbooks], ascii_only=ascii_only)


@variants("ascii_only", [False, True])
def test_answers_of_children_take_the_corpus(tmp_path, ascii_only, playbooks, monkeypatch):
    """Models, comparisons of runs, launches, details, evidence: what other processes and other people's files say."""
    write_run(tmp_path, whole_run(), run_id="20260101-000000-bbbb")
    everything = [name.encode("utf-8", "replace").decode() for name in CORPUS]
    facts = {"format": everything[11], "architecture": everything[20], "lacks": everything, "tensors_by_type": {}}
    models = [{"name": name, "path": name, "problem": "", "facts": facts} for name in everything]
    answers_with(monkeypatch, "aprtui.tui.screens.models.ask", [{"place": everything[12], "models": models}])
    outcomes = {"before": {"outcome": everything[13], "unit": everything[14]}, "after": {"outcome": "", "margin": ""}}
    gates = [{"gate": name, "change": "broken", "before": name, "after": name} for name in everything]
    tensors = [{"comparison": name, "name": name, **outcomes} for name in everything]
    told = {"gates": gates, "tensors": tensors, "circumstances": [{"what": name} for name in everything]}
    answers_with(monkeypatch, "aprtui.tui.screens.compare.ask", told)
    answers_with(monkeypatch, "aprtui.tui.screens.launch.ask", None, everything[12] + everything[-8])
    side = {"dtype": everything[12], "min": everything[11], "shape": everything}
    block = {"clauses": [{"clause": name, "measured": {name: name}} for name in everything], "codes": everything}
    read = {"source": side, "target": side, "block": block, "notes": everything}
    answers_with(monkeypatch, "aprtui.tui.services.tensors.ask", read)
    path = tmp_path / "e.json"
    entries = [
        {"gate_id": name, "outcome": name, "reason": name, "output": name, "stderr": name} for name in everything
    ]
    path.write_text(json.dumps(entries))

    async def body(app, pilot):
        await pilot.press("n", "enter")
        await pilot.pause(0.5)
        for _ in range(8):
            no_control_character(app)
            await pilot.press("pagedown")
        await pilot.press("escape", "2")
        await pilot.pause(0.3)
        for key in ("j", "ctrl+d", "G", "4", "c", "enter", "G", "escape", "v", "escape", "r"):
            await pilot.press(key)
            no_control_character(app)
        await pilot.press("escape")
        app.open_run(open_evidence(path))
        await pilot.pause(0.5)
        for key in ("j", "enter", "G", "escape", "t", "G", "y", "escape", "5", "question_mark"):
            await pilot.press(key)
            no_control_character(app)
        assert app.is_running

    folder = write_run(tmp_path, whole_run(), playbook=playbooks / "demo.playbook.yaml")
    drive(body, size=SMALL, run=folder.path, playbooks=[playbooks], ascii_only=ascii_only)


@variants("ascii_only", [False, True])
def test_every_dialog_takes_the_corpus(tmp_path, ascii_only, playbooks, monkeypatch):
    """The attach card, the choice of a run, comparison, launch, export, questions and errors."""
    hostile_runs(tmp_path)
    answers_with(monkeypatch, "aprtui.tui.screens.compare.ask", None, CORPUS[12] + CORPUS[1])
    answers_with(monkeypatch, "aprtui.tui.screens.launch.ask", None, CORPUS[12] + CORPUS[20] + CORPUS[44])

    async def body(app, pilot):
        async def press(*keys):
            for key in keys:
                await pilot.press(key)
                no_control_character(app)

        assert isinstance(app.screen, AttachDialog)
        no_control_character(app)
        await press("x", "y", "escape", "y", "escape", "3")
        for _ in range(len(app.runs) // 10 + 1):
            await press("ctrl+d")
        await press("g", "enter")
        assert isinstance(app.screen, TextDialog)
        await press("y", "escape", "j")
        for key in ("c", "e", "r", "R", "y", "x"):
            await press(key)
            assert isinstance(app.screen, Dialog), key
            await press(*["pagedown"] * 6)
            # What would start or stop an engine is only looked at.
            await press("down", "right", "y", *(["enter"] if key in "ce" else []), "escape", "escape", "3")
        assert app.is_running

    drive(body, size=SMALL, playbooks=[playbooks], ascii_only=ascii_only)


def test_markup_is_shown_as_it_is_and_clicks_nothing(tmp_path):
    events = whole_run()
    events[3] = TensorFinished("S~S>G", tensor("[@click=app.quit]press[/]", violations=900))
    folder = write_run(tmp_path, events)

    async def body(app, pilot):
        assert_shows(app, "[@click=app.quit]press[/]")
        await pilot.press("n", "enter")
        assert_shows(app, "[@click=app.quit]press[/]")
        await pilot.click(offset=(6, 1))
        assert app.is_running

    drive(body, run=folder.path)


@variants("ascii_only", [False, True])
def test_the_attach_card_and_the_chooser_of_runs_take_the_corpus(tmp_path, ascii_only, playbooks):
    """Names of playbooks, converters and hosts of other people's runs; the notice of a playbook that does not load."""
    names = [name.encode("utf-8", "replace").decode() for name in CORPUS]
    for number, name in enumerate(names):
        run_id = f"202601{number // 60 + 1:02}-0000{number % 60:02}-{number:04x}"
        plan = plan_of(tmp_path, converter=name, run_id=run_id)
        plan = replace(plan, playbook=replace(plan.playbook, name=name, path=f"/{name}"))
        engine = alive() if number % 2 else replace(elsewhere(), host=name)
        write_run(tmp_path, [RunStarted(name, 1)], plan=plan, run_id=run_id, engine=engine)

    async def body(app, pilot):
        await until(pilot, lambda: isinstance(app.screen, AttachDialog))
        for _ in range(4):
            no_control_character(app)
            await pilot.press("ctrl+d")
        await pilot.press("g", "x")
        no_control_character(app)
        await pilot.press("escape", "escape", "3")
        for _ in range(4):
            no_control_character(app)
            await pilot.press("ctrl+d")
        await pilot.press("c")
        for _ in range(4):
            no_control_character(app)
            await pilot.press("ctrl+d")
        await pilot.press("escape")
        for name in names:
            app.watcher._problems[playbooks] = name
            app.refresh_chrome()
            await pilot.pause()
            no_control_character(app)
        assert app.is_running

    drive(body, size=SMALL, playbooks=[playbooks], ascii_only=ascii_only)
