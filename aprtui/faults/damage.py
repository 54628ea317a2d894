"""Injects a fault: a good product goes in, a damaged copy of the same format comes out."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aprtui.core.errors import AprtuiError
from aprtui.core.outcomes import Level
from aprtui.faults.draft import draft_of
from aprtui.faults.errors import NotApplicableError
from aprtui.faults.fault import Fault
from aprtui.faults.writing import write_draft
from aprtui.formats.apr import check_footer
from aprtui.formats.bytes import tensor_bytes
from aprtui.formats.container import Format, StoredTensor
from aprtui.formats.metadata.keys import key_named
from aprtui.formats.model import Model, open_model


@dataclass(frozen=True, slots=True)
class Damaged:
    """A damaged product.

    Attributes:
        path: What to open.
        by_fault: Canonical names of tensors and keys, tokenizer parts or "file" that each fault damaged, in order.
    """

    path: Path
    by_fault: tuple[frozenset[str], ...]

    @property
    def subjects(self) -> frozenset[str]:
        """All that was damaged."""
        return frozenset().union(*self.by_fault)


def inject(
    fault: Fault, good: Path | Model, destination: Path, *, source: Model | None = None, seed: int = 0
) -> Damaged:
    """Write a damaged copy of a product.

    Args:
        fault: What to damage.
        good: The product; it stays as it is.
        destination: A new or empty directory for the copy.
        source: The model that the product was converted from; faults of encoders start from its values.
        seed: Chooses among the tensors that the fault may damage.

    Raises:
        NotApplicableError: The fault does not exist in this format, the product lacks what it damages, or the copy
            would hold what the product holds; nothing stays in `destination`.
        AprtuiError: The product cannot be read, or the copy cannot be written.
    """
    return inject_several((fault,), good, destination, source=source, seeds=(seed,))


def inject_several(
    faults: Sequence[Fault],
    good: Path | Model,
    destination: Path,
    *,
    source: Model | None = None,
    seeds: Sequence[int],
) -> Damaged:
    """Write a copy of a product with several damages, one after the other; see `inject`.

    Raises:
        NotApplicableError: Also where two of them damage the same thing, so that one may undo or hide the other.
    """
    model = good if isinstance(good, Model) else open_model(good)
    _refuse_hidden(faults, model, destination, source, seeds)
    draft = draft_of(model, source)
    by_fault: list[frozenset[str]] = []
    for fault, seed in zip(faults, seeds, strict=True):
        if model.format not in fault.formats:
            raise NotApplicableError(f"{fault.code} does not exist in {model.format}", file=model.path)
        draft.seed, draft.subjects = seed, set()
        fault.apply(draft)
        if not draft.subjects.isdisjoint(frozenset().union(*by_fault)):
            raise NotApplicableError(f"{fault.code} damages what another fault damaged", file=model.path)
        by_fault.append(frozenset(draft.subjects))
    destination.mkdir(parents=True, exist_ok=True)
    try:
        path = write_draft(draft, destination)
    except AprtuiError:
        shutil.rmtree(destination)
        raise
    unchanged = next((fault for fault in faults if not _differs(model, path, fault.level)), None)
    if unchanged is not None:
        shutil.rmtree(destination)
        raise NotApplicableError(f"{unchanged.code} changes nothing in it", file=model.path)
    return Damaged(path, tuple(by_fault))


def _refuse_hidden(
    faults: Sequence[Fault], good: Model, destination: Path, source: Model | None, seeds: Sequence[int]
) -> None:
    """Refuse a damage that changes nothing by itself; another one of its level would hide that."""
    levels = Counter(fault.level for fault in faults)
    for fault, seed in zip(faults, seeds, strict=True):
        if levels[fault.level] > 1:
            inject(fault, good, destination, source=source, seed=seed)
            shutil.rmtree(destination)


def _differs(good: Model, path: Path, level: Level) -> bool:
    """Whether a copy says anything else than the product.

    Metadata and tokenizers differ by what they mean: a lost key that its format assumes anyway changes nothing.
    """
    try:
        damaged = open_model(path)
    except AprtuiError:
        return True
    if level is Level.METADATA:
        return _meaning(damaged) != _meaning(good)
    if level is Level.TOKENIZER:
        return damaged.tokenizer != good.tokenizer
    if level is Level.INTEGRITY and _footer(damaged) != _footer(good):
        return True
    if [finding.message for finding in damaged.findings] != [finding.message for finding in good.findings]:
        return True
    return _tensors_differ(_by_name(good), _by_name(damaged))


def _meaning(model: Model) -> tuple[object, ...]:
    config = model.config
    values = {name: value for name, value in config.values.items() if value != key_named(name).neutral}
    file_type = model.container.metadata.get("general.file_type")
    return config.raw_architecture, file_type, values, [problem.message for problem in config.problems]


def _footer(model: Model) -> str | None:
    finding = check_footer(model.path) if model.format is Format.APR else None
    return finding.message if finding else None


def _by_name(model: Model) -> dict[str, StoredTensor]:
    return {tensor.name: tensor for tensor in model.container.tensors}


def _tensors_differ(good: dict[str, StoredTensor], damaged: dict[str, StoredTensor]) -> bool:
    if good.keys() != damaged.keys():
        return True
    return any(_tensor_differs(tensor, damaged[name]) for name, tensor in good.items())


def _tensor_differs(a: StoredTensor, b: StoredTensor) -> bool:
    if (a.dtype, a.shape, a.nbytes, a.readable) != (b.dtype, b.shape, b.nbytes, b.readable):
        return True
    return a.readable and not np.array_equal(tensor_bytes(a), tensor_bytes(b))
