"""What the source's parts take and give, in files, so that memory does not grow with the number of layers.

Disks are smaller than they look: what all of it takes is summed up first, and where it does not fit, or cannot be
written, nothing is kept and the reason stands in `problem`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from aprtui.inference.machine import GIB
from aprtui.inference.reference.capture import at_positions, blocks_of, captured, first_of, tensor_of
from aprtui.inference.reference.model import Call, ReferenceModel, Unit

WHOLE = ""
"""Stands for the whole unit among the names of its modules."""

_TAKEN = "taken"
_FLOAT = 4


@dataclass(slots=True)
class Shown:
    """What a unit took and gave.

    Attributes:
        taken: Its first argument.
        fed: First arguments of modules inside it, at the positions that count.
        given: Their outputs there, in order of execution; the whole unit last.
    """

    taken: torch.Tensor
    fed: dict[str, torch.Tensor]
    given: dict[str, torch.Tensor]


class SourceRecorder:
    """Keeps what the source's units take and give, at the positions that count.

    Attributes:
        order: Names of the units that were kept.
        problem: Why none are; empty where they are.

    Args:
        model: The source.
        folder: Where files go.
        kept: bool [sequences, positions]: which positions are compared.
        hidden: Features of a hidden state.
    """

    def __init__(self, model: ReferenceModel, folder: Path, kept: torch.Tensor, hidden: int) -> None:
        self.kept = kept
        self.order: list[str] = []
        self.problem = ""
        self._folder = folder
        self._blocks = {unit.name: blocks_of(unit) for unit in model.units}
        # A norm inside attention takes and gives the filled up positions too.
        needed = sum(
            _FLOAT * hidden * (kept.numel() * (1 + 2 * sum("." in name for name in blocks)))
            + _FLOAT * hidden * int(kept.sum()) * (2 * len(blocks) + 1)
            for blocks in self._blocks.values()
        )
        free = shutil.disk_usage(folder).free
        if needed > free:
            self.problem = (
                f"layers: what the source's parts take and give needs {needed / GIB:.1f} GiB in {folder.parent}, "
                f"where {free / GIB:.1f} GiB are free; TMPDIR names another place"
            )

    def run(self, unit: Unit, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
        """Run the unit and keep what it showed."""
        if self.problem:
            return call(*args, **kwargs)
        taken = first_of(args, kwargs)
        with captured(self._blocks[unit.name], {}, self.kept) as shown:
            output = call(*args, **kwargs)
        shown.given[WHOLE] = tensor_of(output)
        try:
            self._keep(len(self.order), taken, shown.fed, shown.given)
            self.order.append(unit.name)
        except OSError as error:
            self.order.clear()
            self.problem = f"layers: {self._folder.parent}: {error.strerror or error}; TMPDIR names another place"
            for path in self._folder.iterdir():
                path.unlink()
        return output

    def _keep(
        self, at: int, taken: torch.Tensor, fed: Mapping[str, torch.Tensor], given: Mapping[str, torch.Tensor]
    ) -> None:
        """Write tensors, each once: what one module gives, another one takes."""
        np.save(self._folder / f"{at}.{_TAKEN}.npy", taken.cpu().numpy())
        files = {id(taken): _TAKEN}
        index: dict[str, dict[str, str]] = {"given": {}, "fed": {}}
        for what, tensors in (("given", given), ("fed", fed)):
            for name, values in tensors.items():
                if id(values) not in files:
                    files[id(values)] = str(len(files))
                    np.save(
                        self._folder / f"{at}.{files[id(values)]}.npy", at_positions(values, self.kept).cpu().numpy()
                    )
                index[what][name] = files[id(values)]
        (self._folder / f"{at}.json").write_text(json.dumps(index), encoding="utf-8")

    def shown(self, unit: str) -> Shown:
        """What a unit of the source showed."""
        at = self.order.index(unit)
        index = json.loads((self._folder / f"{at}.json").read_bytes())
        taken = torch.from_numpy(np.load(self._folder / f"{at}.{_TAKEN}.npy"))
        files = {_TAKEN: at_positions(taken, self.kept)}
        for file in {*index["given"].values(), *index["fed"].values()} - {_TAKEN}:
            files[file] = torch.from_numpy(np.load(self._folder / f"{at}.{file}.npy"))
        fed, given = ({name: files[file] for name, file in index[what].items()} for what in ("fed", "given"))
        return Shown(taken, fed, given)
