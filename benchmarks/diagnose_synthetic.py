"""What a diagnosis costs beside the comparison it explains, on a synthetic 0.5B pair with three causes.

    python benchmarks/diagnose_synthetic.py --folder output/synthetic

Makes a model with the geometry of Qwen2.5-Coder-0.5B, converts it with the built-in converter, damages the product
three times (every q and k rearranged, every norm plus one, one matrix transposed), compares and diagnoses it in this
process, and prints seconds of each as Markdown. Medians of three runs after one that fills caches.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from statistics import median

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
REPEATS = 3


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
    print("| type | tensors failing | compare, s | diagnose, s | ratio | result |")
    print("| --- | --- | --- | --- | --- | --- |")
    for asked_for in TYPES:
        print(_row(source_path, folder, asked_for, arguments.jobs), flush=True)


def _row(source_path: Path, folder: Path, asked_for: str, jobs: int) -> str:
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
    compared, diagnosed = [], []
    for _ in range(REPEATS + 1):
        comparison = compare_models(source, target, scope)
        found = diagnose(source, target, comparison, scope).diagnosis
        compared.append(comparison.seconds)
        diagnosed.append(found.seconds)
    one, other = median(compared[1:]), median(diagnosed[1:])
    codes = ", ".join(dict.fromkeys(named.code for named in found.causes))
    return (
        f"| {asked_for} | {found.tensors_failing} | {one:.2f} | {other:.2f} | {other / one:.2f} | {codes}: "
        f"{found.sentence} |"
    )


if __name__ == "__main__":
    main()
