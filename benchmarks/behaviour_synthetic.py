"""Time and peak memory of running a synthetic 0.5B pair, and one with half the layers.

    python benchmarks/behaviour_synthetic.py --folder output/synthetic
    python benchmarks/behaviour_synthetic.py --folder output/synthetic --wide

Makes a model with the geometry of Qwen2.5-Coder-0.5B (494 M parameters), one with 12 of its 24 layers, and GGUFs of
both with the built-in converter (about 4 GB in the folder, kept for the next run). Each pair is compared by a process
of its own, and a line of Markdown says what it took:

* `lockstep`: `aprtui diff A B --level behaviour --tokens 0`, which never holds a whole model;
* `all`: `aprtui diff A B --level all`, every level and greedy text, which needs the model in float32 (2 GB here).

`--wide` measures lockstep alone, on one layer as wide as those of Qwen2.5-72B with its vocabulary (13 GB in the folder,
a quarter of an hour): what such a pair needs, for memory does not follow the number of layers.

Peak memory is the process's own; llama.cpp runs in a child and is not in it. "held" is what the process needs
(anonymous pages, looked at twenty times a second), "resident" counts pages of the mapped files as well, which the
system drops when it needs the room. The load of the machine stands beside the seconds, because they mean little where
it is high.
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

_LOOK_S = 0.05
_WIDE = Geometry(8192, 29568, 80, 64, 8, parameters=0, tensors=0)
TYPES = ("bf16", "q8_0", "q4_k_m")
RUNS = {"lockstep": ("--level", "behaviour", "--tokens", "0"), "all": ("--level", "all")}


def geometry(layers: int, *, wide: bool = False) -> Geometry:
    """The 0.5B geometry with some of its layers, or as wide as that of Qwen2.5-72B."""
    whole = _WIDE if wide else GEOMETRIES["0.5b"]
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


def prepare(folder: Path, layers: int, *, wide: bool = False) -> tuple[Path, dict[str, Path]]:
    """The source and its products, made where they are missing."""
    name = f"wide-{layers}" if wide else str(layers)
    source = folder / f"hf-{name}"
    if not (source / "model.safetensors").exists():
        make(source, geometry(layers, wide=wide), seed=0)
    products = {kind: folder / f"{name}-{kind}.gguf" for kind in TYPES}
    for kind, path in products.items():
        if not path.exists():
            write_product(open_model(source), Format.GGUF, path, parse_output_type(kind))
    return source, products


def measure(source: Path, product: Path, options: Sequence[str]) -> tuple[float, float, float]:
    """Wall seconds of one run, and its peaks in MiB: anonymous pages, and all resident ones."""
    command = [sys.executable, "-m", "aprtui", "diff", str(source), str(product), *options]
    started, held = time.perf_counter(), 0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        held = max(held, anonymous_kib(process.pid))
        time.sleep(_LOOK_S)
    if status:
        raise SystemExit(f"{product.name} ended with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - started, held / 1024, usage.ru_maxrss / 1024


def anonymous_kib(pid: int) -> int:
    """Memory of a process that is in no file (proc(5), RssAnon); 0 where it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("RssAnon:")), 0)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--wide", action="store_true")
    given = parser.parse_args()
    folder: Path = given.folder
    runs = (("lockstep", 1),) if given.wide else (("lockstep", 24), ("lockstep", 12), ("all", 24))
    folder.mkdir(parents=True, exist_ok=True)
    print("| run | layers | type | seconds | held, MiB | resident, MiB | load |\n|" + " --- |" * 7)
    for name, layers in runs:
        source, products = prepare(folder, layers, wide=given.wide)
        for kind, product in products.items():
            seconds, held, resident = measure(source, product, RUNS[name])
            load = os.getloadavg()[0]
            print(
                f"| {name} | {layers} | {kind} | {seconds:.0f} | {held:.0f} | {resident:.0f} | {load:.1f} |", flush=True
            )


if __name__ == "__main__":
    main()
