"""Measures the certificate: what it detects, false alarms on honest encodings, speed. Prints Markdown.

    python benchmarks/certificate_detection.py            # detection against the stored baseline, false alarms, speed
    python benchmarks/certificate_detection.py --large    # false alarms on 1024 x 1024 as well

Needs the packages of the `dev` extra (ggml's own encoders). Ends with exit code 1 if a cell of the detection tables
is worse than in certificate_detection_baseline.json, or if an honest block was flagged.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

from certificate_faults import BITS_OF_SCALE, Damage, faults  # noqa: E402
from certificate_samples import (  # noqa: E402
    BLOCK_TYPES,
    F32,
    WEIGHTED_TYPES,
    certify,
    distributions,
    encode,
    importance,
)

from aprtui.core.dtypes import DType  # noqa: E402

BASELINE = HERE / "certificate_detection_baseline.json"
SEED, ROWS, COLUMNS = 11, 256, 1024
NOISE = 0.011
"""Cells of the baseline hold four digits."""

ORDER = [
    *(DType.Q8_0, DType.Q4_0, DType.Q5_0, DType.Q4_1, DType.Q5_1, DType.IQ4_NL, DType.IQ4_XS),
    *(DType.Q2_K, DType.Q3_K, DType.Q4_K, DType.Q5_K, DType.Q6_K, DType.APR_Q4),
]
"""Types of the baseline draw from one generator, in this order."""

Cell = dict[str, float]
Table = dict[str, dict[str, Cell]]


def detection(*, weights: bool) -> Table:
    """Per cent of the damaged blocks that each clause flags: table[fault][type][clause]."""
    random = np.random.default_rng(SEED)
    matrix = random.random(COLUMNS).astype(F32) + F32(1e-3) if weights else None
    types = [t for t in ORDER if t in WEIGHTED_TYPES] if weights else ORDER
    table: Table = {}
    for dtype in types:
        for damage in faults(dtype, ROWS, COLUMNS, random, matrix):
            cell = table.setdefault(damage.fault, {}).setdefault(dtype.value, {})
            cell.update(_measure(dtype, damage, weights=weights))
    return table


def _measure(dtype: DType, damage: Damage, *, weights: bool) -> Cell:
    touched = damage.touched
    if not touched.any():
        return {"same": 1.0}
    _, flags = certify(dtype, damage.source, damage.raw, weights=weights)
    if damage.bit >= 0:
        return {f"bit {damage.bit}": round(100 * float(flags.any_clause[touched].mean()), 4)}
    shares = {"a": flags.codes, "b": flags.scales, "c": flags.zeros}
    return {
        clause: round(100 * float(flag[touched].mean()), 4) for clause, flag in shares.items() if flag[touched].any()
    }


def show(cell: Cell | None) -> str:
    """A cell as text."""
    if cell is None:
        return "-"
    if "same" in cell:
        return "same"
    if "bit 0" in cell:
        shares = [cell[f"bit {bit}"] for bit in range(16)]
        sure = next(bit for bit in range(17) if all(share >= 99 for share in shares[bit:]))
        if sure == 0:
            return "all"
        return "/".join("100" if share > 99.5 else f"{share:.2g}" for share in shares[:4]) + f"; {sure}"
    return ", ".join(f"{clause} {share:.3g}" for clause, share in cell.items()) or "missed"


def print_table(title: str, table: Table) -> None:
    """One detection table as Markdown."""
    types = [t for t in ORDER if any(t.value in row for row in table.values())]
    print(f"\n## {title}\n")
    print("| fault | " + " | ".join(types) + " |\n" + "| --- " * (len(types) + 1) + "|")
    for fault, row in table.items():
        name = f"{fault}: % at bits 0/1/2/3; 99 % from bit" if fault == BITS_OF_SCALE else fault
        print(f"| {name} | " + " | ".join(show(row.get(t.value)) for t in types) + " |")


def compare(table: Table, baseline: Table) -> tuple[list[str], list[str]]:
    """Cells that detect less and more than the baseline: of each clause, or of the best clause."""
    worse, better = [], []
    for fault, row in baseline.items():
        for dtype, before in row.items():
            now = table.get(fault, {}).get(dtype, {})
            for clause in sorted(before.keys() | now.keys()):
                old, new = before.get(clause, 0.0), now.get(clause, 0.0)
                if new < old - NOISE:
                    worse.append(f"{fault}, {dtype}, {clause}: {new:g} instead of {old:g}")
                elif new > old + NOISE:
                    better.append(f"{fault}, {dtype}, {clause}: {new:g} instead of {old:g}")
    return worse, better


def false_alarms(rows: int, columns: int) -> int:
    """Print blocks of honest encodings that are flagged; returns how many."""
    print(f"\n## False alarms, {rows} x {columns}\n\n| importance matrix | type | blocks | flagged | error | step |")
    print("| --- " * 6 + "|")
    total = 0
    for label, matrix in {"none": None, **importance(columns)}.items():
        for dtype in BLOCK_TYPES if matrix is None else WEIGHTED_TYPES:
            blocks, flagged, error, step = 0, 0, 0.0, 0.0
            for source in distributions(rows, columns).values():
                result, flags = certify(dtype, source, encode(dtype, source, matrix), weights=matrix is not None)
                blocks, flagged = blocks + result.blocks, flagged + int(flags.any_clause.sum())
                error, step = max(error, result.worst_error_ratio), max(step, result.worst_step_ratio)
            print(f"| {label} | {dtype} | {blocks} | {flagged} | {error:.2f} | {step:.2f} |")
            total += flagged
    return total


def speed() -> None:
    """Print Gelem/s of the compiled version and of the reference on one core, honest Gaussian tensors."""
    print("\n## Speed, one core, Gelem/s\n\n| type | compiled | numpy |\n| --- | --- | --- |")
    x = np.random.default_rng(0).standard_normal((1024, 1024)).astype(F32) * F32(0.02)
    for dtype in BLOCK_TYPES:
        raw = encode(dtype, x)
        rates = []
        for compiled, repeats in ((True, 5), (False, 2)):
            certify(dtype, x[:32], raw[: len(raw) // 32], compiled=compiled)
            best = min(_seconds(dtype, x, raw, compiled=compiled) for _ in range(repeats))
            rates.append(f"{x.size / best / 1e9:.3f}")
        print(f"| {dtype} | " + " | ".join(rates) + " |", flush=True)


def _seconds(dtype: DType, x: np.ndarray, raw: np.ndarray, *, compiled: bool) -> float:
    start = time.perf_counter()
    certify(dtype, x, raw, compiled=compiled)
    return time.perf_counter() - start


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true", help="false alarms on 1024 x 1024 too (minutes)")
    parser.add_argument("--only", choices=("detection", "alarms", "speed"), help="one part only")
    options = parser.parse_args()
    failed = False
    if options.only in (None, "detection"):
        baseline = json.loads(BASELINE.read_text())
        for name, weights in (("without importance matrix", False), ("with importance matrix", True)):
            table = detection(weights=weights)
            print_table(f"Detection {name}, per cent of the damaged blocks", table)
            worse, better = compare(table, baseline[name])
            print(f"\n{len(worse)} cells worse than the baseline, {len(better)} better")
            print("\n".join([f"* worse: {line}" for line in worse] + [f"* better: {line}" for line in better]))
            failed |= bool(worse)
    if options.only in (None, "alarms"):
        shapes = [(128, 1024), (1024, 1024)] if options.large else [(128, 1024)]
        failed |= sum(false_alarms(*shape) for shape in shapes) > 0
    if options.only in (None, "speed"):
        speed()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
