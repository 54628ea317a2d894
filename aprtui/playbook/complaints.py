"""Says which keys of a playbook have no effect, each with its line; nothing is accepted in silence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Union, get_args, get_origin

from aprtui.core.gate_table import GATES
from aprtui.playbook.keys import PlaybookKeys, Section, Use
from aprtui.playbook.playbook import Complaint, ComplaintKind
from aprtui.playbook.scalars import FailurePolicy
from aprtui.playbook.validate import near_match
from aprtui.playbook.yaml_tree import KeyPath, Value, YamlFile

_NOT_OUTPUT_TYPES = "names files that apr-qa tests, not output types; those are aprtui.outtype"


def key_complaints(file: YamlFile, keys: PlaybookKeys) -> list[Complaint]:
    """Complaints about the keys of one file.

    Args:
        file: The playbook, or the settings beside it.
        keys: The keys as they were understood.
    """
    found = list(_section(file, PlaybookKeys, file.value, ()))
    policy = keys.failure_policy
    if ("failure_policy",) in file.lines and policy is not FailurePolicy.COLLECT_ALL:
        message = f"{policy} is overruled: every gate runs even when an earlier one failed"
        found.append(Complaint(file.line("failure_policy"), "failure_policy", message, ComplaintKind.OVERRULED))
    found += _unknown_gates(file, keys)
    return found


def _unknown_gates(file: YamlFile, keys: PlaybookKeys) -> Iterator[Complaint]:
    if ("aprtui", "allow_skip") in file.lines:
        for gate in keys.aprtui.allow_skip:
            if gate not in GATES:
                message = f"{gate} is no gate of this version of aprtui"
                yield Complaint(file.line("aprtui", "allow_skip"), "aprtui.allow_skip", message, ComplaintKind.UNKNOWN)


def _section(file: YamlFile, section: type[Section], value: Mapping[str, Value], at: KeyPath) -> Iterator[Complaint]:
    known = frozenset(section.model_fields) | section.not_for_aprtui
    for key, inner in value.items():
        path = (*at, key)
        line, name = file.lines[path], ".".join(path)
        field = section.model_fields.get(key)
        if field is None:
            near = None if key in section.not_for_aprtui else near_match(key, known)
            if near is None:
                yield Complaint(line, name)
            else:
                yield Complaint(line, name, f"nothing reads this key; did you mean {near}?", ComplaintKind.UNKNOWN)
        elif Use.LATER in field.metadata:
            message = _NOT_OUTPUT_TYPES if path == ("model", "quantizations") else ""
            yield Complaint(line, name, message, ComplaintKind.LATER)
        elif (deeper := section_in(field.annotation)) is not None:
            for item, place in _mappings(inner, path):
                yield from _section(file, deeper, item, place)


def _mappings(inner: Value, at: KeyPath) -> Iterator[tuple[Mapping[str, Value], KeyPath]]:
    """A mapping, or those of a list of mappings, with their places."""
    if isinstance(inner, dict):
        yield inner, at
    elif isinstance(inner, list):
        for number, item in enumerate(inner):
            yield from _mappings(item, (*at, str(number)))


def section_in(annotation: object) -> type[Section] | None:
    """The section that a field holds, if it holds one, or a list of them."""
    if get_origin(annotation) in (Union, UnionType, tuple):
        return next(filter(None, map(section_in, get_args(annotation))), None)
    return annotation if isinstance(annotation, type) and issubclass(annotation, Section) else None
