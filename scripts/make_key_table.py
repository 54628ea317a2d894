"""Writes the table of keys in docs/console.md from the table that the console itself reads."""

from __future__ import annotations

from pathlib import Path

from aprtui.tui.keys import ANYWHERE, DIALOG, FORM, KEYS, LIST, TEXT, display

DOCUMENT = Path(__file__).parents[1] / "docs" / "console.md"
_START, _END = "<!-- keys -->", "<!-- end of keys -->"
_PLACES = {ANYWHERE: "anywhere", LIST: "lists", TEXT: "texts", FORM: "forms", DIALOG: "dialogs"}
_PLACES |= {"tree": "tree of gates", "tensor": "detail", "attach": "attach card"}


def key_table() -> str:
    """The table as Markdown."""
    lines = ["| key | where | does | name |", "| --- | --- | --- | --- |"]
    for key in KEYS:
        pressed = " ".join(f"`{display(one)}`" for one in key.keys)
        where = ", ".join(_PLACES.get(place, place.capitalize()) for place in key.where)
        lines.append(f"| {pressed} | {where} | {key.help} | `{key.key_id}` |")
    return "\n".join(lines)


def with_table(text: str) -> str:
    """The document with the table of now."""
    before, _, rest = text.partition(_START)
    _, _, after = rest.partition(_END)
    return f"{before}{_START}\n{key_table()}\n{_END}{after}"


if __name__ == "__main__":
    DOCUMENT.write_text(with_table(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
