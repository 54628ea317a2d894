"""Tolerances that change after or during a run: judged again from stored numbers, in the evidence, in the journal."""

import json

import numpy as np
import pytest
from engine_runs import aprtui, events_of, record_of, run_folder_below, run_in, start, wait_until, write_playbook
from fixture_files import FIXTURES

from aprtui.convert.builtin import BuiltinConverter
from aprtui.core.events import TolerancesChanged
from aprtui.core.outcomes import ExitCode
from aprtui.engine.selection import Selection
from aprtui.formats.container import Format
from aprtui.formats.model import open_model
from aprtui.store.run_folder import RunFolder

MODEL = FIXTURES / "llama-tiny256/hf"
PAIR = Selection(("F-CONV-S-G", "F-CONV-WEIGHT-001", "F-CONV-S-A"))
ASKED = "aprtui:\n  outtype: {F-CONV-S-G: f16}\n"


class Nudging(BuiltinConverter):
    """Moves one value of every F16 tensor of a GGUF by one unit in the last place."""

    def convert(self, source, target, destination, asked_for):
        product = super().convert(source, target, destination, asked_for)
        if target is Format.GGUF:
            raw = np.memmap(product, np.uint8, "r+")
            for tensor in open_model(product).tensors.values():
                if tensor.dtype == "F16":
                    raw[tensor.offset] ^= 1
            raw.flush()
        return product


@pytest.fixture
def run(tmp_path):
    playbook = write_playbook(tmp_path, ASKED)
    code, _ = run_in(tmp_path / "run", playbook, MODEL, Nudging(), selection=PAIR)
    assert code is ExitCode.FALSIFIED
    return tmp_path / "run"


def outcomes(folder):
    return {gate: finished.outcome.value for gate, finished in record_of(folder).verdicts().items()}


def test_a_wider_tolerance_is_judged_from_the_journal(run, tmp_path):
    assert outcomes(run) == {"F-CONV-S-G": "Falsified", "F-CONV-S-A": "Corroborated", "F-CONV-WEIGHT-001": "Falsified"}
    before = {gate: found.entry_id for gate, found in record_of(run).verdicts().items()}
    write_playbook(tmp_path, ASKED + "  tolerance:\n    rmse_ratio: 3\n    ulp: 2\n")
    code, out, _ = aprtui("rejudge", run)
    assert code == 0 and "2 gates were judged again" in out
    assert set(outcomes(run).values()) == {"Corroborated"}
    after = {gate: found.entry_id for gate, found in record_of(run).verdicts().items()}
    assert {gate for gate in before if before[gate] != after[gate]} == {"F-CONV-S-G", "F-CONV-WEIGHT-001"}
    (changed,) = (event for event in events_of(run) if isinstance(event, TolerancesChanged))
    assert changed.tolerances.ulp == 2 and "test.playbook.yaml, line" in changed.tolerances.origin
    entries = {entry["gate_id"]: entry for entry in json.loads((tmp_path / "evidence.json").read_text())}
    (comparison, *_) = json.loads(entries["F-CONV-S-G"]["metadata"]["comparisons"])
    group = next(group for group in comparison["tolerances"] if group["rule"] == "rounding")
    assert group["limit"] == 2 and "aprtui.tolerance.ulp 2 of " in group["origin"] and 0.5 < group["needed"] <= 2
    line = (tmp_path / "test.playbook.yaml").read_text().splitlines().index("    ulp: 2") + 1
    assert f"test.playbook.yaml, line {line}" in group["origin"]
    assert json.loads(entries["F-CONV-S-A"]["metadata"]["tolerance_settings"])["ulp"] == 2


def test_there_and_back_again(run, tmp_path):
    first = outcomes(run)
    write_playbook(tmp_path, ASKED + "  tolerance: {ulp: 2}\n")
    assert aprtui("rejudge", run)[0] == 0
    write_playbook(tmp_path, ASKED)
    code, _, _ = aprtui("rejudge", run)
    assert code == 1 and outcomes(run) == first
    code, out, _ = aprtui("rejudge", run)
    assert code == 1 and "are those that the run was judged under" in out


def test_a_tighter_tolerance_fails_what_passed(tmp_path):
    playbook = write_playbook(tmp_path, ASKED)
    code, _ = run_in(tmp_path / "run", playbook, MODEL, BuiltinConverter(), selection=PAIR)
    assert code is ExitCode.PASSED
    write_playbook(tmp_path, ASKED + "  tolerance: {ulp: 0.01}\n")
    assert aprtui("rejudge", tmp_path / "run")[0] == 1
    assert outcomes(tmp_path / "run")["F-CONV-S-G"] == "Falsified"
    # The other pair is lossless: no tolerance of the playbook touches it.
    assert outcomes(tmp_path / "run")["F-CONV-S-A"] == "Corroborated"


def test_anything_else_that_changed_needs_a_new_run(run, tmp_path):
    write_playbook(tmp_path, "aprtui:\n  outtype: {F-CONV-S-G: bf16}\n  tolerance: {ulp: 2}\n")
    code, _, err = aprtui("rejudge", run)
    assert code == 2 and "the playbook changed in more than its tolerances; run it again" in err


def test_a_run_that_goes_on_takes_them_without_being_cancelled(tmp_path):
    playbook = write_playbook(tmp_path, "aprtui:\n  outtype: {default: f16, F-CONV-S-A: f16}\n")
    process = start(tmp_path / "o", playbook.path, "--model", MODEL, "--converter", "builtin", "--jobs", 1)
    folder = run_folder_below(tmp_path / "o")
    wait_until(lambda: b'"S~S>G"' in (folder / "journal.jsonl").read_bytes())
    write_playbook(tmp_path, "aprtui:\n  outtype: {default: f16, F-CONV-S-A: f16}\n  tolerance: {ulp: 0.01}\n")
    code, out, _ = aprtui("rejudge", folder)
    assert (code, process.poll()) == (3, None) or "judged again" in out
    process.communicate(timeout=120)
    record = record_of(folder)
    assert record.tolerances is not None and record.tolerances.ulp == 0.01
    assert outcomes(folder)["F-CONV-S-G"] == "Falsified" and outcomes(folder)["F-CONV-S-A"] == "Falsified"
    rounded = [group for found in record.comparisons.values() for group in found.tolerances.values()]
    assert {group.worst.tolerance.limit for group in rounded if group.worst.tolerance.rule == "rounding"} == {0.01}
    assert RunFolder(folder).asked_tolerances() is None
