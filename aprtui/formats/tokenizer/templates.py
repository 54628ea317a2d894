"""The chat templates beside SafeTensors: the default one, and those that are named."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aprtui.core.errors import FormatError
from aprtui.core.findings import Finding
from aprtui.formats.metadata.json_files import LARGEST_CONFIG, read_bounded
from aprtui.formats.tokenizer.facts import problem

_DEFAULT = "default"
_NOT_IN_KEYS = re.compile("[^A-Za-z0-9]")
"""gguf's writer puts an underscore in their place (GGUFWriter.add_chat_template)."""


def named_templates(config: Mapping[str, Any]) -> dict[str, str]:
    """The templates of tokenizer_config.json that have a name of their own, such as "tool_use"."""
    stated = config.get("chat_template")
    entries = [entry for entry in stated if isinstance(entry, dict)] if isinstance(stated, list) else []
    found = {
        _NOT_IN_KEYS.sub("_", name): text
        for entry in entries
        if isinstance(name := entry.get("name"), str) and isinstance(text := entry.get("template"), str)
    }
    return {name: text for name, text in found.items() if name not in ("", _DEFAULT)}


def chat_template(config: Mapping[str, Any], companions: Mapping[str, Path], problems: list[Finding]) -> str | None:
    """The template of tokenizer_config.json, else chat_template.jinja (gguf's order); of several, the default one."""
    stated = config.get("chat_template")
    if isinstance(stated, str):
        return stated
    if isinstance(stated, list):
        named = {entry.get("name"): entry.get("template") for entry in stated if isinstance(entry, dict)}
        default = named.get(_DEFAULT)
        return default if isinstance(default, str) else None
    path = companions.get("chat_template.jinja")
    if path is None:
        return None
    try:
        # Universal newlines, as the text mode that converters read it in.
        text = read_bounded(path, LARGEST_CONFIG).decode("utf-8", "surrogateescape")
        return text.replace("\r\n", "\n").replace("\r", "\n")
    except FormatError as error:
        problems.append(problem("chat_template", error.problem, place=path.name))
        return None
