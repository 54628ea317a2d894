"""Loads a playbook: the file, aprtui's keys beside it, the lock file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from aprtui.core.errors import UsageError
from aprtui.playbook.complaints import key_complaints
from aprtui.playbook.kinds import Document, DocumentKind, describe
from aprtui.playbook.lock import lock_complaints, stem
from aprtui.playbook.playbook import Complaint, Playbook
from aprtui.playbook.validate import validated
from aprtui.playbook.yaml_tree import Value, YamlFile, read_yaml

SETTINGS_SUFFIX = ".aprtui.yaml"


def files_of_playbook(path: Path) -> tuple[Path, ...]:
    """The files that a playbook is read from, whether they exist or not: itself, and aprtui's keys beside it."""
    return (path, path.with_name(stem(path) + SETTINGS_SUFFIX))


_SECTION = "aprtui"
_WHY_NOT = {
    DocumentKind.TEMPLATE: "a template: it still holds {placeholders}",
    DocumentKind.SPECIFICATION: "a specification of a gateway: it names no model",
    DocumentKind.VERIFICATION: "a verification ticket: its conditions are prose that nothing evaluates",
    DocumentKind.LOCK: "a lock file",
    DocumentKind.SCHEMA: "a schema",
    DocumentKind.SETTINGS: "settings that belong beside a playbook",
    DocumentKind.OTHER: "no playbook: it has neither name nor model",
}


def load_playbook(path: Path) -> Playbook:
    """Read the playbook of a model.

    Keys of aprtui's own may stand under `aprtui:` in the playbook, or under `aprtui:` in NAME.aprtui.yaml beside
    NAME.playbook.yaml, where a lock file forbids to change the playbook.

    Raises:
        UsageError: Not YAML, not a playbook of a model, a key that aprtui needs is absent, or a value does not fit.
    """
    file = read_yaml(path)
    _refuse_other_kinds(describe(file))
    value, places = dict(file.value), _places(file)
    beside = _settings_beside(file)
    if beside is not None:
        value[_SECTION] = _merged(file, beside)
        places |= _places(beside)
    keys = validated(value, places, path)
    complaints = key_complaints(file, keys)
    if beside is not None:
        complaints += [replace(complaint, file=beside.path) for complaint in key_complaints(beside, keys)]
    complaints += lock_complaints(file, keys.name)
    return Playbook(
        path=path,
        name=keys.name,
        version=keys.version,
        model=keys.model,
        test_matrix=keys.test_matrix,
        contract_tests=keys.contract_tests,
        differential_tests=keys.differential_tests,
        gateways=keys.gates,
        oracles=keys.asked_oracles,
        profile=keys.profile_ci,
        settings=keys.aprtui,
        complaints=tuple(sorted(complaints, key=_by_file_and_line)),
        places=places,
    )


def _by_file_and_line(complaint: Complaint) -> tuple[str, int]:
    return str(complaint.file or ""), complaint.line


def _refuse_other_kinds(document: Document) -> None:
    if document.kind is not DocumentKind.PLAYBOOK:
        what = _WHY_NOT[document.kind].format(placeholders=", ".join(document.placeholders))
        todo = "replace them first" if document.kind is DocumentKind.TEMPLATE else "run a playbook that names a model"
        raise UsageError(f"this is {what}", file=document.path, place="line 1", todo=todo)


def _settings_beside(file: YamlFile) -> YamlFile | None:
    _, path = files_of_playbook(file.path)
    if path == file.path or not path.exists():
        return None
    settings = read_yaml(path)
    if set(settings.value) != {_SECTION}:
        raise UsageError("settings beside a playbook have one key, aprtui", file=path, place="line 1")
    return settings


def _merged(file: YamlFile, beside: YamlFile) -> Value:
    """Both files' keys; a key in both would leave open which one counts."""
    own, other = file.at(_SECTION), beside.at(_SECTION)
    if not isinstance(own, dict) or not isinstance(other, dict):
        return other if own is None else own
    for key in other:
        if key in own:
            also = f"it stands in {file.path}, line {file.line(_SECTION, key)}, too"
            raise UsageError(also, file=beside.path, place=beside.place(_SECTION, key), todo="remove one of them")
    return {**own, **other}


def _places(file: YamlFile) -> dict[tuple[str, ...], tuple[Path, int]]:
    return {key: (file.path, line) for key, line in file.lines.items()}
