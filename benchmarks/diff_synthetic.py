"""Peak memory and rate of `aprtui diff` on a synthetic 0.5B pair, beside what a user would write and plain reading.

    python benchmarks/diff_synthetic.py --folder output/synthetic

Makes a model with the geometry of Qwen2.5-Coder-0.5B (494 M parameters) and GGUFs of it with the built-in converter
(about 5 GB in the folder, kept for the next run), then runs each command as a process of
its own and prints Markdown. A GB is 10^9 bytes of stored tensors, both sides. Peak memory is the process's own
(`ru_maxrss`), mapped file pages included.

Figures are medians of three runs after one that fills caches, of one run for numpy. "plain read" reads both files in
8 MiB pieces; "numpy" is the script that an engineer would write instead: the gguf package and whole tensors in float32,
seven metrics, no layout rule and no certificate.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

TYPES = ("f32", "bf16", "q8_0", "q4_k_m")
REPEATS = 3
HERE = Path(__file__).parent

NUMPY_SCRIPT = """
import sys
import gguf, numpy as np
from pathlib import Path
from aprtui.formats.model import open_model
source = open_model(Path(sys.argv[1]))
names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN2, 24)
for tensor in gguf.GGUFReader(sys.argv[2]).tensors:
    stored = next(t for n, t in source.tensors.items() if names.get_name(n, ('.weight', '.bias')) == tensor.name)
    raw = np.fromfile(stored.file, np.uint16, stored.nbytes // 2, offset=stored.offset)
    a = (raw.astype(np.uint32) << 16).view(np.float32)
    b = gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(-1).astype(np.float32)
    d = b - a
    print(tensor.name, np.abs(d).max(), np.abs(d).mean(), np.sqrt((d * d).mean()), (d * d).sum() / (a * a).sum(),
          np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b), np.isnan(b).sum(), (a != b).sum())
"""

READ_SCRIPT = """
import sys
for path in sys.argv[1:]:
    with open(path, "rb", buffering=0) as file:
        buffer = bytearray(1 << 23)
        while file.readinto(buffer):
            pass
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """One command: median wall seconds and largest resident set in MiB."""

    seconds: float
    peak_mib: float


def measure(command: list[str], repeats: int = REPEATS) -> Measured:
    """Run a command several times after one run that fills caches."""
    seconds, peak = [], 0.0
    for repeat in range(repeats + 1):
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"{' '.join(command)[:200]} ended with {status}")
        if repeat:
            seconds.append(time.perf_counter() - started)
            peak = max(peak, usage.ru_maxrss / 1024)
    return Measured(median(seconds), peak)


def prepare(folder: Path) -> tuple[Path, dict[str, Path]]:
    """The model and its GGUFs, made where they are not there yet."""
    model = folder / "hf"
    if not (model / "model.safetensors").exists():
        script = str(HERE / "make_synthetic_model.py")
        subprocess.run([sys.executable, script, "--geometry", "0.5b", str(model)], check=True)
    products = {}
    for outtype in TYPES:
        products[outtype] = folder / f"{outtype}.gguf"
        if not products[outtype].exists():
            command = ["convert", str(model), str(products[outtype]), "--outtype", outtype]
            subprocess.run([sys.executable, "-m", "aprtui", *command], check=True)
    return model, products


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("output/synthetic"), help="where the models are kept")
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    model, products = prepare(folder)
    source = model / "model.safetensors"
    print("| pair | GB | plain read s | GB/s | diff, 1 thread s | GB/s | 2 threads s | GB/s | MiB | numpy s | MiB |")
    print("| --- " * 11 + "|")
    for outtype, product in products.items():
        size = (source.stat().st_size + product.stat().st_size) / 1e9
        read = measure([sys.executable, "-c", READ_SCRIPT, str(source), str(product)])
        diff = [sys.executable, "-m", "aprtui", "diff", str(model), str(product), "--level", "weights", "--jobs"]
        one, two = measure([*diff, "1"]), measure([*diff, "2"])
        script = measure([sys.executable, "-c", NUMPY_SCRIPT, str(model), str(product)], repeats=1)
        cells = [f"bf16 / {outtype}", f"{size:.2f}", f"{read.seconds:.2f}", f"{size / read.seconds:.2f}"]
        for run in (one, two):
            cells += [f"{run.seconds:.2f}", f"{size / run.seconds:.2f}"]
        cells += [f"{max(one.peak_mib, two.peak_mib):.0f}", f"{script.seconds:.1f}", f"{script.peak_mib:.0f}"]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
