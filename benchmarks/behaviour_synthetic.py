"""Time and peak memory of running a synthetic 0.5B pair, and one with half the layers.

    python benchmarks/behaviour_synthetic.py --folder output/synthetic

Makes a model with the geometry of Qwen2.5-Coder-0.5B (494 M parameters), one with 12 of its 24 layers, and GGUFs of
both with the built-in converter (about 4 GB in the folder, kept for the next run). Each pair is compared by a process
of its own, and a line of Markdown says what it took:

* `lockstep`: `aprtui diff A B --level behaviour --tokens 0`, which never holds a whole model;
* `all`: `aprtui diff A B --level all`, every level and greedy text, which needs the model in float32 (2 GB here).

Peak memory is the process's own (`ru_maxrss`), mapped pages of files included; llama.cpp runs in a child and is not in
it. The load of the machine stands beside the seconds, because they mean little where it is high.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from math import prod
from pathlib import Path

from make_synthetic_model import GEOMETRIES, Geometry, make, shapes

from aprtui.convert.builtin.product import write_product
from aprtui.formats.container import Format
from aprtui.formats.model import open_model
from aprtui.formats.output_types import parse_output_type

TYPES = ("bf16", "q8_0", "q4_k_m")
RUNS = {"lockstep": ("--level", "behaviour", "--tokens", "0"), "all": ("--level", "all")}


def geometry(layers: int) -> Geometry:
    """The 0.5B geometry with some of its layers."""
    whole = GEOMETRIES["0.5b"]
    cut = Geometry(
        whole.hidden, whole.intermediate, layers, whole.heads, whole.key_value_heads, parameters=0, tensors=0
    )
    sizes = shapes(cut)
    return Geometry(
        whole.hidden,
        whole.intermediate,
        layers,
        whole.heads,
        whole.key_value_heads,
        parameters=sum(map(prod, sizes.values())),
        tensors=len(sizes),
    )


def prepare(folder: Path, layers: int) -> tuple[Path, dict[str, Path]]:
    """The source and its products, made where they are missing."""
    source = folder / f"hf-{layers}"
    if not (source / "model.safetensors").exists():
        make(source, geometry(layers), seed=0)
    products = {kind: folder / f"{layers}-{kind}.gguf" for kind in TYPES}
    for kind, path in products.items():
        if not path.exists():
            write_product(open_model(source), Format.GGUF, path, parse_output_type(kind))
    return source, products


def measure(source: Path, product: Path, options: Sequence[str]) -> tuple[float, float]:
    """Wall seconds and peak resident set in MiB of one run."""
    command = [sys.executable, "-m", "aprtui", "diff", str(source), str(product), *options]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{product.name} ended with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - started, usage.ru_maxrss / 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    print("| run | layers | type | seconds | peak MiB | load |\n| --- | --- | --- | --- | --- | --- |")
    for name, layers in (("lockstep", 24), ("lockstep", 12), ("all", 24)):
        source, products = prepare(folder, layers)
        for kind, product in products.items():
            seconds, peak = measure(source, product, RUNS[name])
            load = os.getloadavg()[0]
            print(f"| {name} | {layers} | {kind} | {seconds:.0f} | {peak:.0f} | {load:.1f} |", flush=True)


if __name__ == "__main__":
    main()
