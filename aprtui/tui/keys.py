"""The keys as data: bindings, the line at the bottom, help, palette, documentation and remapping read this table."""

from __future__ import annotations

from dataclasses import dataclass

from textual.binding import Binding, BindingType

VIEWS = ("Playbooks", "Models", "Runs", "Diff", "Log")
"""The five views, in the order of their numbers."""

ANYWHERE = "app"
LIST = "list"
TEXT = "text"
FORM = "form"
DIALOG = "dialog"


@dataclass(frozen=True, slots=True)
class Key:
    """What a key does.

    Attributes:
        key_id: Name for remapping.
        keys: Keys as Textual spells them, the first one is shown.
        action: Textual action.
        label: One or two words for the line at the bottom.
        help: One sentence without a full stop.
        where: `ANYWHERE`, a kind of widget or dialog (`LIST`, `TEXT`, `FORM`, `DIALOG`), or the screens that have it.
        rank: Place in the line at the bottom, from 1; 0 for none.
    """

    key_id: str
    keys: tuple[str, ...]
    action: str
    label: str
    help: str
    where: tuple[str, ...]
    rank: int = 0


_RUNS = ("diff", "runs")
_WITH_LISTS = ("playbooks", "models", "runs", "diff", "compare")
KEYS: tuple[Key, ...] = (
    *(
        Key(f"view.{name.lower()}", (str(number),), f"app.view({number})", name, f"Show the view {name}", (ANYWHERE,))
        for number, name in enumerate(VIEWS, start=1)
    ),
    Key("help", ("question_mark", "f1"), "app.show_help", "help", "Show and search the keys", (ANYWHERE, DIALOG), 1),
    Key(
        "palette",
        ("colon", "ctrl+p"),
        "app.command_palette",
        "palette",
        "Search everything that can be done",
        (ANYWHERE,),
        90,
    ),
    Key("back", ("escape",), "back", "back", "Back; clears a filter first", (ANYWHERE,), 95),
    Key("quit", ("q",), "app.leave", "quit", "Back, then quit; asks where runs are live", (ANYWHERE,), 99),
    Key("interrupt", ("ctrl+c",), "app.interrupt", "", "Quit; asks where runs are live", (ANYWHERE, DIALOG)),
    Key("pane.next", ("tab",), "app.focus_next", "pane", "Next pane", (ANYWHERE,)),
    Key("pane.previous", ("shift+tab",), "app.focus_previous", "", "Previous pane", (ANYWHERE,)),
    Key("watch", ("w",), "app.watch", "watch", "Run a playbook again when it is saved: on or off", (ANYWHERE,), 45),
    Key(
        "run.start", ("r",), "start_run", "run", "Run the playbook: opens the launch dialog", ("playbooks", *_RUNS), 25
    ),
    Key(
        "run.again",
        ("R",),
        "run_failed",
        "rerun ✗",
        "Run again what failed; lists what is converted",
        ("playbooks", *_RUNS),
        40,
    ),
    Key("run.stop", ("x",), "stop_run", "stop", "Stop the run; asks first", _RUNS, 52),
    Key("list.down", ("j", "down"), "cursor(1)", "", "Down", (LIST,)),
    Key("list.up", ("k", "up"), "cursor(-1)", "", "Up", (LIST,)),
    Key("list.half-down", ("ctrl+d",), "page(1)", "", "Half a page down", (LIST,)),
    Key("list.half-up", ("ctrl+u",), "page(-1)", "", "Half a page up", (LIST,)),
    Key("list.page-down", ("pagedown",), "page(2)", "", "A page down", (LIST,)),
    Key("list.page-up", ("pageup",), "page(-2)", "", "A page up", (LIST,)),
    Key("list.first", ("g", "home"), "first", "", "First row", (LIST,)),
    Key("list.last", ("G", "end"), "last", "", "Last row", (LIST,)),
    Key("list.open", ("enter",), "open", "open", "Open the row", (LIST,), 10),
    Key("text.down", ("j", "down"), "scroll(0,1)", "", "Scroll down", (TEXT,)),
    Key("text.up", ("k", "up"), "scroll(0,-1)", "", "Scroll up", (TEXT,)),
    Key("text.half-down", ("ctrl+d",), "scroll(1,0)", "", "Half a page down", (TEXT,)),
    Key("text.half-up", ("ctrl+u",), "scroll(-1,0)", "", "Half a page up", (TEXT,)),
    Key("text.page-down", ("pagedown",), "scroll(2,0)", "", "A page down", (TEXT,)),
    Key("text.page-up", ("pageup",), "scroll(-2,0)", "", "A page up", (TEXT,)),
    Key("text.first", ("g", "home"), "scroll_home", "", "To the beginning", (TEXT,)),
    Key("text.last", ("G", "end"), "scroll_end", "", "To the end", (TEXT,)),
    Key("form.down", ("j", "down"), "row(1)", "", "Next row of a form", (FORM,)),
    Key("form.up", ("k", "up"), "row(-1)", "", "Previous row of a form", (FORM,)),
    Key("form.right", ("l", "right"), "option(1)", "", "Next option", (FORM,)),
    Key("form.left", ("h", "left"), "option(-1)", "", "Previous option", (FORM,)),
    Key("form.choose", ("space",), "choose", "", "Choose the option, or take it away", (FORM,)),
    Key("form.submit", ("enter",), "submit", "", "Do what the form says", (FORM,)),
    Key("dialog.close", ("escape", "q"), "cancel", "", "Close without an answer", (DIALOG,)),
    Key("dialog.copy", ("y",), "copy", "", "Copy the text, the command or the path", (DIALOG,)),
    Key("attach.dismiss", ("d",), "cancel", "", "Dismiss the card", ("attach",)),
    Key("attach.stop", ("x",), "stop", "", "Stop the run", ("attach",)),
    Key(
        "filter",
        ("slash",),
        "filter",
        "filter",
        "Filter: q_proj, !norm, dtype:q4_K, margin>2",
        ("playbooks", "models", "runs", "diff", "log"),
        18,
    ),
    Key("next", ("n",), "failure(1)", "next ✗", "Next failure", ("diff", "tensor"), 12),
    Key("previous", ("N",), "failure(-1)", "", "Previous failure", ("diff", "tensor")),
    Key("failures", ("f",), "failures_only", "fails", "Failures only, or all", ("diff", "runs", "playbooks"), 15),
    Key("resort", ("full_stop",), "resort", "re-sort", "Sort the rows now", ("diff",)),
    Key("sort", ("s",), "sort", "sort", "Sort by the next column", ("diff", "runs", "playbooks", "models")),
    Key("reverse", ("S",), "reverse", "", "Sort the other way round", ("diff", "runs", "playbooks", "models")),
    Key("causes", ("i",), "causes", "causes", "Why it fails: three questions, causes, advice", ("diff",), 14),
    Key("pause", ("p",), "pause", "pause", "Hold the view still; the run goes on", ("diff", "log"), 50),
    Key("gates", ("t",), "gates", "gates", "Show the tree of gates, or the table", ("diff",), 22),
    Key("fold", ("h", "left"), "fold(True)", "", "Fold", ("tree",)),
    Key("unfold", ("l", "right"), "fold(False)", "", "Unfold", ("tree",)),
    Key("all-gates", ("a",), "all_gates", "", "Rows of all gates", ("diff",)),
    Key("run.rows", ("v",), "verify_row", "", "Run again the comparison of this row", ("diff",)),
    Key("compare", ("c",), "compare", "compare", "Compare with another run", ("diff", "runs", "tensor"), 34),
    Key("mark", ("space",), "mark", "mark", "Mark the run: c compares two", ("runs",)),
    Key("export", ("e",), "export", "export", "Export evidence or the table", ("diff", "runs", "tensor"), 30),
    Key("edit", ("E",), "edit", "edit", "Edit the playbook where it sets this tolerance", ("playbooks", "diff")),
    Key(
        "copy",
        ("y",),
        "copy",
        "copy",
        "Copy: name, row, command, path or log lines",
        (*_RUNS, "playbooks", "models", "tensor", "compare", "log"),
        32,
    ),
    Key("zoom", ("z",), "zoom", "", "This pane alone, or all panes", ("diff",)),
    Key("detail.next", ("right_square_bracket",), "failure(1)", "", "Next failure", ("tensor",)),
    Key("detail.previous", ("left_square_bracket",), "failure(-1)", "", "Previous failure", ("tensor",)),
    Key("map.left", ("h", "left"), "pan(0,-1)", "pan", "Move on the map", ("tensor",), 20),
    Key("map.right", ("l", "right"), "pan(0,1)", "", "Move on the map", ("tensor",)),
    Key("map.up", ("K", "shift+up"), "pan(-1,0)", "", "Move on the map", ("tensor",)),
    Key("map.down", ("J", "shift+down"), "pan(1,0)", "", "Move on the map", ("tensor",)),
    Key("map.in", ("plus", "equals_sign"), "zoom(1)", "zoom", "Look closer, down to single elements", ("tensor",), 22),
    Key("map.out", ("minus",), "zoom(-1)", "", "Look from farther away", ("tensor",)),
)
"""Every key."""


def bindings(where: str) -> list[BindingType]:
    """Textual's bindings of a screen, a widget or the application."""
    return [
        Binding(",".join(key.keys), key.action, key.label, show=bool(key.rank), id=key.key_id)
        for key in KEYS
        if where in key.where
    ]


def keys_for(screen: str, remapped: dict[str, str] | None = None) -> list[tuple[Key, str]]:
    """The keys of a screen that stand in the line at the bottom, in their order, with the key to press."""
    remapped = remapped or {}
    places = {screen, ANYWHERE, *((LIST,) if screen in _WITH_LISTS else ())}
    wanted = [key for key in KEYS if key.rank and places & set(key.where)]
    wanted.sort(key=lambda key: key.rank)
    return [(key, display(remapped.get(key.key_id, key.keys[0]))) for key in wanted]


_DISPLAY = {
    "question_mark": "?",
    "colon": ":",
    "slash": "/",
    "full_stop": ".",
    "escape": "esc",
    "enter": "⏎",
    "plus": "+",
    "minus": "-",
    "equals_sign": "=",
    "right_square_bracket": "]",
    "left_square_bracket": "[",
    "pagedown": "pgdn",
    "pageup": "pgup",
    "tab": "⇥",
}


def display(key: str) -> str:
    """A key as people write it."""
    key = key.split(",", maxsplit=1)[0]
    return _DISPLAY.get(key, key)
