"""What a diagnosis costs beside the comparison it explains, on a synthetic 0.5B pair with three causes.

    python benchmarks/diagnose_synthetic.py --folder output/synthetic

Makes a model with the geometry of Qwen2.5-Coder-0.5B, converts it with the built-in converter, damages the product
three times (every q and k rearranged, every norm plus one, one matrix transposed), compares and diagnoses it in this
process, and prints seconds of each as Markdown: elapsed, and of processor time, which other programs disturb less. The
ratio is what a user of `aprtui diff` waits for, comparison and diagnosis, over the comparison alone. Medians of five
runs after one that fills caches.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

from make_synthetic_model import GEOMETRIES, make

from aprtui.compare.comparison import Scope, compare_models
from aprtui.convert.builtin.product import write_product
from aprtui.diagnose import diagnose
from aprtui.faults import FAULTS, inject_several
from aprtui.formats.container import Format
from aprtui.formats.model import open_model
from aprtui.formats.output_types import parse_output_type

CAUSES = ("weights.rotary_extra", "weights.norm_plus_one_doubled", "weights.transposed")
TYPES = ("lossless", "q8_0")
REPEATS = 5


def main() -> None:
    """Make the pairs where they lack, then measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=min(8, os.cpu_count() or 1))
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    source_path = folder / "hf"
    if not source_path.exists():
        make(source_path, GEOMETRIES["0.5b"], seed=1)
    print("| type | tensors failing | clock | compare, s | diagnose, s | both over compare | result |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for asked_for in TYPES:
        print("\n".join(_rows(source_path, folder, asked_for, arguments.jobs)), flush=True)


def _rows(source_path: Path, folder: Path, asked_for: str, jobs: int) -> list[str]:
    source, asked = open_model(source_path), parse_output_type(asked_for)
    good, damaged = folder / f"{asked_for}.gguf", folder / f"damaged-{asked_for}"
    if not good.exists():
        write_product(source, Format.GGUF, good, asked)
    if not damaged.exists():
        faults = [FAULTS[code] for code in CAUSES]
        # The third seed picks an MLP matrix, which the other two leave alone.
        inject_several(faults, good, damaged, source=source, seeds=(0, 0, 0))
    target = open_model(damaged / "model.gguf")
    scope = Scope(asked_for=asked, jobs=jobs)
    compared: list[tuple[float, float]] = []
    diagnosed: list[tuple[float, float]] = []
    for _ in range(REPEATS + 1):
        started = _clocks()
        comparison = compare_models(source, target, scope)
        between = _clocks()
        found = diagnose(source, target, comparison, scope).diagnosis
        ended = _clocks()
        compared.append((between[0] - started[0], between[1] - started[1]))
        diagnosed.append((ended[0] - between[0], ended[1] - between[1]))
    codes = ", ".join(dict.fromkeys(named.code for named in found.causes))
    rows = []
    for index, clock in enumerate(("elapsed", "processor")):
        one, other = (median(times[index] for times in measured[1:]) for measured in (compared, diagnosed))
        seconds = f"{one:.2f} | {other:.2f} | {(one + other) / one:.2f}"
        rows.append(f"| {asked_for} | {found.tensors_failing} | {clock} | {seconds} | {codes}: {found.sentence} |")
    return rows


def _clocks() -> tuple[float, float]:
    return perf_counter(), process_time()


if __name__ == "__main__":
    main()
