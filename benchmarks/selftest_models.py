"""How well faults are found and named in small models of other architectures than the demo's, as Markdown.

    python benchmarks/selftest_models.py MODEL... [--stacks 60]

MODEL is a directory in Hugging Face form. Each is converted by the built-in converter, damaged by every fault that it
can carry and by seeded pairs and triples, compared and diagnosed: what `aprtui selftest` does with the shipped model.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from time import monotonic

from aprtui.engine.selftest import Selftest, summarised
from aprtui.faults import FAULTS

SEED = 20261


def main() -> None:
    """One row of the table for each model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--stacks", type=int, default=60)
    arguments = parser.parse_args()
    print("| model | damaged copies | found | named right | stacks, all members named | false alarms |")
    print("| --- | --- | --- | --- | --- | --- |")
    for model in arguments.models:
        print(_row(model, arguments.stacks), flush=True)


def _row(model: Path, stacks: int) -> str:
    started = monotonic()
    with tempfile.TemporaryDirectory(prefix="aprtui-") as scratch:
        selftest = Selftest(model, Path(scratch))
        singles, several = list(selftest.results(FAULTS.values())), list(selftest.stacks(stacks, SEED))
        alarms = list(selftest.false_alarms())
    found = summarised(singles, several, alarms, selftest.good_products, monotonic() - started)
    counts = f"{found['copies']} | {found['found']} | {found['named']} | {found['stacks_named']} of {found['stacks']}"
    return f"| {model.resolve().parent.name} | {counts} | {found['false_alarms']} of {found['good_products']} |"


if __name__ == "__main__":
    main()
