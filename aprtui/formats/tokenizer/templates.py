"""The chat templates beside SafeTensors: the default one, and those that are named."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from aprtui.core.errors import FormatError
from aprtui.core.findings import Finding
from aprtui.core.outcomes import Severity
from aprtui.formats.huggingface import TEMPLATE_FOLDER
from aprtui.formats.metadata.json_files import LARGEST_CONFIG, read_bounded
from aprtui.formats.tokenizer.facts import DEFAULT_TEMPLATE, problem

_FILE = "chat_template.jinja"
_CONFIG = "tokenizer_config.json"
_NOT_IN_KEYS = re.compile("[^A-Za-z0-9]")
"""gguf's writer puts an underscore in their place (GGUFWriter.add_chat_template)."""


def chat_templates(
    config: Mapping[str, Any], companions: Mapping[str, Path], problems: list[Finding]
) -> dict[str, str]:
    """Text of each template by name, the default one as "default".

    Files of their own count, and where there is one, nothing that tokenizer_config.json says does
    (`PreTrainedTokenizerBase._from_pretrained`). gguf's `SpecialVocab` goes the other way round, so a converter may
    take the other ones: that both are there and differ is noted.

    Args:
        config: tokenizer_config.json.
        companions: The files beside the model.
        problems: What cannot be read, and what contradicts itself, is recorded here.
    """
    stated = dict(_stated(config.get("chat_template")))
    files = dict(_files(companions, problems))
    if not files:
        return stated
    differing = sorted(name for name, text in stated.items() if files.get(name) != text)
    if differing:
        message = f"{_CONFIG} has another template than the files beside it ({', '.join(differing)}); the files count"
        note = problem("chat_template", message, place=_CONFIG)
        problems.append(replace(note, severity=Severity.NOTE))
    return files


def _stated(raw: object) -> Iterator[tuple[str, str]]:
    """One text, or texts with names: a list of entries, or an object."""
    if isinstance(raw, str):
        yield DEFAULT_TEMPLATE, raw
    if isinstance(raw, dict):
        raw = [{"name": name, "template": text} for name, text in raw.items()]
    for entry in raw if isinstance(raw, list) else ():
        name, text = (entry.get("name"), entry.get("template")) if isinstance(entry, dict) else (None, None)
        if isinstance(name, str) and name and isinstance(text, str):
            yield _NOT_IN_KEYS.sub("_", name), text


def _files(companions: Mapping[str, Path], problems: list[Finding]) -> Iterator[tuple[str, str]]:
    """chat_template.jinja, and the files of the folder of named ones."""
    for name, path in companions.items():
        folder, _, rest = name.rpartition("/")
        if folder == TEMPLATE_FOLDER or name == _FILE:
            try:
                text = read_bounded(path, LARGEST_CONFIG).decode("utf-8", "surrogateescape")
            except FormatError as error:
                problems.append(problem("chat_template", error.problem, place=name))
                continue
            # Universal newlines, as the text mode that transformers and converters read it in.
            text = text.replace("\r\n", "\n").replace("\r", "\n")
            yield DEFAULT_TEMPLATE if not folder else _NOT_IN_KEYS.sub("_", rest.removesuffix(".jinja")), text
