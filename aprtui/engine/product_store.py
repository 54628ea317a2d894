"""Where products lie while a run needs them, and which of them serve later runs.

Without a place of the user's, products lie in the run's folder and go as soon as nothing needs them. With `--scratch
DIR` a product that nothing needs any more is kept as DIR/aprtui-conversions/KEY, where KEY stands for the files that it
was made from, every output type on the way and the converter by digest: it serves a later run only while all of these
are the same. docs/runs.md says when kept products are deleted.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import xxhash

from aprtui.convert import working_directory
from aprtui.core.events import ConverterFacts
from aprtui.core.json_values import from_json, to_json
from aprtui.engine.jobs import Product
from aprtui.store.atomic import write_json
from aprtui.store.plan import PlannedConversion, RunPlan

_KEPT = "aprtui-conversions"
_RECORD = "conversion.json"


@dataclass(frozen=True, slots=True)
class KeptConversion:
    """What is known of a kept product.

    Attributes:
        step: The model's path, every conversion on the way with its output type, the converter's name: a later product
            of the same step supersedes it.
        product: What to open, relative to its directory.
        files: Digest by file, relative to its directory.
        converter: Who made it.
        seconds: Wall time of the conversion.
    """

    step: str
    product: str
    files: Mapping[str, str]
    converter: ConverterFacts
    seconds: float


class ProductStore:
    """The directories of a run's products.

    Args:
        plan: The plan.
    """

    def __init__(self, plan: RunPlan) -> None:
        self._plan = plan
        scratch = Path(plan.scratch)
        self._own = scratch / f"aprtui-{plan.run_id}" if plan.keeps_products else scratch
        self._kept = scratch / _KEPT
        self._conversions = {one.conversion_id: one for one in plan.conversions}
        self._digests: Mapping[str, Mapping[str, str]] = {}

    def model_read(self, digests: Mapping[str, Mapping[str, str]]) -> None:
        """What conversions start from is known: delete kept products that cannot serve any more.

        Args:
            digests: By file, of the model and of given sources, by letter.
        """
        self.model_files(digests)
        if self._plan.keeps_products:
            self._clean()

    def model_files(self, digests: Mapping[str, Mapping[str, str]]) -> None:
        """What conversions start from, for a reader: nothing is deleted."""
        self._digests = digests

    def directory(self, conversion: str) -> Path:
        """Where a conversion is made."""
        return self._own / conversion.replace(">", "-").replace("#", "-")

    def find(self, conversion: str) -> Product | None:
        """A kept product of the same conversion; whether its files are unchanged is still to be seen."""
        planned = self._conversions[conversion]
        if planned.fresh or self._plan.ignores_kept or not self._plan.keeps_products:
            return None
        folder = self._kept / self._key(planned)
        kept = _read(folder)
        if kept is None:
            return None
        with suppress(OSError):
            os.utime(folder / _RECORD)
        files = {str(folder / name): digest for name, digest in kept.files.items()}
        return Product(folder / kept.product, files, kept.converter, kept.seconds)

    def why_made(self, conversion: str) -> str:
        """Why a run would make a product, told without reading models; empty where a kept one is expected to serve.

        A run looks at digests; this looks at names, the converter and the times of files.
        """
        planned = self._conversions[conversion]
        if planned.fresh:
            return "its gate converts twice"
        if not self._plan.keeps_products:
            return "products end with the run"
        if self._plan.ignores_kept:
            return "asked to convert anew"
        step = self._step(planned)
        records = ((folder, _read(folder)) for folder in self._folders())
        kept = [(folder, one) for folder, one in records if one is not None and one.step == step]
        if not kept:
            return "none is kept"
        kept = [(folder, one) for folder, one in kept if one.converter == self._plan.converter]
        if not kept:
            return "another converter made the one that is kept"
        made = max(_last_used(folder) for folder, one in kept)
        return "" if _newest(self._start(planned)) <= made else "its source is newer than the one that is kept"

    def _start(self, planned: PlannedConversion) -> Path:
        """The file or folder that a conversion and those before it start from."""
        letter = self._chain(planned)[0].source
        given = (Path(one.path) for one in self._plan.sources if one.letter == letter)
        return next(given, Path(self._plan.model.path))

    def kept_product(self, conversion: str, digests: Iterable[str]) -> Path | None:
        """Where the product of a run that has ended is kept, for readers; None where it is not.

        Args:
            conversion: The conversion; `model_files` knows what it started from.
            digests: Of the product's files.
        """
        folder = self._kept / self._key(self._conversions[conversion])
        kept = _read(folder) if self._plan.keeps_products else None
        if kept is None or sorted(kept.files.values()) != sorted(digests):
            return None
        return folder / kept.product

    def release(self, conversion: str, product: Product | None) -> None:
        """Nothing needs a product any more: keep it for later runs where that is wanted, else delete it.

        Args:
            conversion: The conversion.
            product: Its product; None where it left none.
        """
        directory = self.directory(conversion)
        shutil.rmtree(working_directory(directory), ignore_errors=True)
        planned = self._conversions[conversion]
        is_own = product is not None and product.path.is_relative_to(directory)
        if product is not None and is_own and self._plan.keeps_products and not planned.fresh:
            self._keep(planned, product, directory)
        shutil.rmtree(directory, ignore_errors=True)

    def close(self) -> None:
        """The run has finished: its own directory goes."""
        shutil.rmtree(self._own, ignore_errors=True)

    def _keep(self, planned: PlannedConversion, product: Product, directory: Path) -> None:
        files = {str(Path(file).relative_to(directory)): digest for file, digest in product.files.items()}
        name = str(product.path.relative_to(directory))
        kept = KeptConversion(self._step(planned), name, files, product.converter, product.seconds)
        target = self._kept / self._key(planned)
        with suppress(OSError):
            # Another run may have kept the same meanwhile; a disk that is full keeps nothing.
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(target, ignore_errors=True)
            write_json(directory / _RECORD, to_json(kept))
            directory.rename(target)

    def _clean(self) -> None:
        """Delete what is superseded or damaged; then, oldest first, what is not wanted now, until there is room."""
        wanted = {self._key(one): self._step(one) for one in self._conversions.values() if not one.fresh}
        steps = set(wanted.values())
        for folder in self._folders():
            kept = _read(folder)
            if kept is None or (folder.name not in wanted and kept.step in steps):
                shutil.rmtree(folder, ignore_errors=True)
        unwanted = sorted((one for one in self._folders() if one.name not in wanted), key=_last_used)
        for folder in unwanted:
            if shutil.disk_usage(self._kept).free >= self._plan.peak_bytes:
                return
            shutil.rmtree(folder, ignore_errors=True)

    def _folders(self) -> Iterator[Path]:
        if self._kept.is_dir():
            yield from sorted(folder for folder in self._kept.iterdir() if folder.is_dir())

    def _key(self, planned: PlannedConversion) -> str:
        """Digest of everything that a product follows from."""
        chain, converter = self._chain(planned), self._plan.converter
        facts = {
            "start": sorted(self._digests.get(chain[0].source, {}).values()),
            "hops": [[one.target, one.asked_for] for one in chain],
            "converter": None if converter is None else to_json(converter),
        }
        return xxhash.xxh3_128_hexdigest(json.dumps(facts, sort_keys=True).encode())

    def _step(self, planned: PlannedConversion) -> str:
        name = "" if self._plan.converter is None else self._plan.converter.name
        hops = " ".join(f"{one.conversion_id} {one.asked_for}" for one in self._chain(planned))
        return f"{self._plan.model.path} {hops} {name}"

    def _chain(self, planned: PlannedConversion) -> list[PlannedConversion]:
        """A conversion and those before it, from the file that the first starts from."""
        chain = [planned]
        while chain[0].source in self._conversions:
            chain.insert(0, self._conversions[chain[0].source])
        return chain


def _last_used(folder: Path) -> float:
    try:
        return (folder / _RECORD).stat().st_mtime
    except OSError:
        return 0.0


def _newest(path: Path) -> float:
    """When a file, or any file right in a folder, was changed last."""
    files = [path, *path.iterdir()] if path.is_dir() else [path]
    return max((one.stat().st_mtime for one in files if one.is_file()), default=0.0)


def _read(folder: Path) -> KeptConversion | None:
    """The record of a kept product; None where it cannot be understood or leads out of its directory."""
    try:
        kept = from_json(KeptConversion, json.loads((folder / _RECORD).read_bytes()))
    except (OSError, ValueError, RecursionError):
        return None
    inside = folder.resolve()
    places = (folder / name for name in (kept.product, *kept.files))
    return kept if all(place.resolve().is_relative_to(inside) for place in places) else None
