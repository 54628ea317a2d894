"""Special ids and the add-bos and add-eos flags of files beside SafeTensors, as gguf's `SpecialVocab` reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aprtui.core.errors import FormatError
from aprtui.formats.container import Container
from aprtui.formats.metadata.json_files import read_json_object

_KINDS = ("unk", "sep", "pad", "cls", "mask")


def _token_text(config: Mapping[str, Any], name: str) -> str | None:
    entry = config.get(name)
    text = entry.get("content") if isinstance(entry, dict) else entry
    return text if isinstance(text, str) else None


def special_ids(whole: Mapping[str, Any], config: Mapping[str, Any], model: Mapping[str, Any]) -> dict[str, int]:
    """Id by kind, without bos and eos.

    Args:
        whole: tokenizer.json.
        config: tokenizer_config.json, which names tokens.
        model: config.json, which has ids of its own; they count where tokenizer_config.json names no added token.
    """
    raw = whole.get("added_tokens")
    entries = [entry for entry in raw if isinstance(entry, dict)] if isinstance(raw, list) else []
    added: dict[str | None, Any] = {
        text: entry.get("id") for entry in entries if isinstance(text := entry.get("content"), str)
    }
    nested = model.get("text_config")
    text_model = nested if isinstance(nested, dict) else {}
    found: dict[str, int] = {}
    for kind in _KINDS:
        candidates = (
            added.get(_token_text(config, f"{kind}_token")),
            model.get(f"{kind}_token_id"),
            text_model.get(f"{kind}_token_id"),
        )
        for value in candidates:
            if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
                found[kind] = value
                break
    return found


def one_id(kind: str, ids: Sequence[int], vocabulary: Sequence[str], container: Container) -> int | None:
    """The id of "bos" or "eos" where there is room for one: what tokenizer_config.json names, else the first.

    Converters and chat templates take that one; config.json and generation_config.json may list more.

    Args:
        kind: "bos" or "eos".
        ids: All that a model states.
        vocabulary: Its tokens.
        container: The model.
    """
    path = container.companions.get("tokenizer_config.json")
    if len(ids) > 1 and path is not None:
        try:
            text = _token_text(read_json_object(path), f"{kind}_token")
        except FormatError:
            text = None  # The tokenizer level reports it.
        named = next((number for number in ids if 0 <= number < len(vocabulary) and vocabulary[number] == text), None)
        if named is not None:
            return named
    return ids[0] if ids else None


def added_flags(whole: Mapping[str, Any], config: Mapping[str, Any]) -> tuple[bool | None, bool | None]:
    """Whether bos is put in front of a text and eos behind it; None where no file says.

    The post-processor of tokenizer.json decides, else tokenizer_config.json.
    """
    flags: dict[str, bool] = {}
    post = whole.get("post_processor")
    processors = post.get("processors", [post]) if isinstance(post, dict) else ()
    for processor in processors if isinstance(processors, list) else ():
        if isinstance(processor, dict):
            _read_processor(processor, config, flags)
    for kind in ("bos", "eos"):
        stated = config.get(f"add_{kind}_token")
        if isinstance(stated, bool):
            flags.setdefault(kind, stated)
    return flags.get("bos"), flags.get("eos")


def _read_processor(processor: Mapping[str, Any], config: Mapping[str, Any], flags: dict[str, bool]) -> None:
    kind = processor.get("type")
    if kind == "ByteLevel":
        flags.setdefault("bos", False)
        flags.setdefault("eos", False)
    elif kind == "RobertaProcessing":
        flags.update(bos=True, eos=True)
    elif kind == "TemplateProcessing":
        template = processor.get("single")
        if not isinstance(template, list) or len(template) < 2:
            return
        first, last = _special_name(template[0]), _special_name(template[-1])
        starts = {_token_text(config, "bos_token"), _token_text(config, "cls_token")} - {None}
        if first is not None:
            flags["bos"] = first in starts or _token_text(config, "bos_token") is None
        if last is not None:
            flags["eos"] = True


def _special_name(part: object) -> str | None:
    token = part.get("SpecialToken") if isinstance(part, dict) else None
    name = token.get("id") if isinstance(token, dict) else None
    return name if isinstance(name, str) else None
