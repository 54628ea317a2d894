"""Kill -9 of the engine or of a worker at any moment: nothing reported is lost, the run goes on, nothing is left."""

import contextlib
import os
import random
import shutil
import signal
from pathlib import Path

import pytest
from engine_runs import (
    aprtui,
    events_of,
    halted,
    outcomes_in,
    processes_of,
    record_of,
    run_folder_below,
    run_in,
    start,
    verdicts,
    wait_until,
    write_playbook,
)
from fixture_files import FIXTURES
from variants import variants

from aprtui.convert.builtin import BuiltinConverter
from aprtui.core.errors import UsageError
from aprtui.core.events import ConversionFinished, RunFinished, RunInterrupted, RunResumed
from aprtui.core.outcomes import ExitCode
from aprtui.engine.journal_writer import JournalWriter
from aprtui.store.run_folder import RunFolder
from aprtui.store.run_list import summarise

MODEL = FIXTURES / "qwen2-tiny/hf"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The folder of a run that nobody disturbs, and its playbook."""
    folder = tmp_path_factory.mktemp("undisturbed")
    playbook = write_playbook(folder)
    code, _ = run_in(folder / "run", playbook, MODEL, BuiltinConverter())
    assert code is ExitCode.PASSED
    return folder / "run", playbook


@pytest.fixture(scope="module")
def uninterrupted(undisturbed):
    """Verdicts of a run that nobody disturbs, and how many lines its journal has."""
    return verdicts(undisturbed[0]), len(events_of(undisturbed[0]))


def lines(folder):
    journal = folder / "journal.jsonl"
    return journal.read_bytes().splitlines(keepends=True) if journal.exists() else []


def kill(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def killed_at(tmp_path, moment, who):
    """A run whose engine or worker was killed once the journal had so many lines; what it said until then."""
    playbook = write_playbook(tmp_path)
    process = start(tmp_path / "o", playbook.path, "--model", MODEL, "--converter", "builtin", "--jobs", 2)
    folder = run_folder_below(tmp_path / "o")
    wait_until(lambda: len(lines(folder)) >= moment or process.poll() is not None)
    before = [line for line in lines(folder) if line.endswith(b"\n")]
    if who == "engine":
        kill(process.pid)
    else:
        for pid in processes_of(folder):
            with contextlib.suppress(OSError):
                if os.getsid(pid) == pid:
                    kill(pid)
    process.communicate(timeout=60)
    wait_until(lambda: processes_of(folder) == [])
    return playbook, folder, before


def killed_and_resumed(tmp_path, moment, who, uninterrupted):
    expected, _ = uninterrupted
    playbook, folder, before = killed_at(tmp_path, moment, who)
    assert lines(folder)[: len(before)] == before
    held = {one for one, found in record_of(folder).comparisons.items() if found.finished and found.levels}
    kept_lines = len(lines(folder))
    code, told = run_in(folder, playbook, MODEL, BuiltinConverter())
    assert code is ExitCode.PASSED and verdicts(folder) == expected
    assert {gate: (entry.outcome.value, entry.reason) for gate, entry in told.entries.items()} == expected
    assert held.isdisjoint(told.begun)
    assert outcomes_in(folder / "evidence.json") == expected
    numbers = [line.number for line in RunFolder(folder).reader().new_lines()]
    assert numbers == list(range(len(numbers))) and len(numbers) > kept_lines - 1
    assert processes_of(folder) == [] and not (folder / "products").exists()


def moments(count, uninterrupted, seed):
    chance = random.Random(seed)
    return [(chance.randint(1, uninterrupted[1]), chance.choice(["engine", "worker"])) for _ in range(count)]


@variants("number", range(5))
def test_killed_at_a_random_moment(tmp_path, uninterrupted, number):
    moment, who = moments(5, uninterrupted, seed=1)[number]
    killed_and_resumed(tmp_path, moment, who, uninterrupted)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(50))
def test_killed_at_many_random_moments(tmp_path, uninterrupted, number):
    moment, who = moments(50, uninterrupted, seed=2)[number]
    killed_and_resumed(tmp_path, moment, who, uninterrupted)


@variants("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_an_interrupted_run_keeps_what_it_measured(tmp_path, uninterrupted, number):
    playbook = write_playbook(tmp_path)
    process = start(tmp_path / "o", playbook.path, "--model", MODEL, "--converter", "builtin")
    folder = run_folder_below(tmp_path / "o")
    wait_until(lambda: b'"GateFinished"' in (folder / "journal.jsonl").read_bytes())
    os.kill(process.pid, number)
    out, _ = process.communicate(timeout=60)
    if process.returncode == 0:
        pytest.skip("it had finished before")
    assert process.returncode == 130 and f"aprtui run --resume {folder.name}" in out, out
    end = events_of(folder)[-1]
    assert isinstance(end, RunInterrupted) and end.reason == f"it was interrupted by {number.name}"
    assert outcomes_in(folder / "evidence.json") == verdicts(folder) == outcomes_in(tmp_path / "o/test/evidence.json")
    assert processes_of(folder) == []
    code, out, _ = aprtui("run", "--resume", folder, "--jobs", 2)
    assert code == 0 and out.count("pass  ") == len(uninterrupted[0])
    assert verdicts(folder) == uninterrupted[0] == outcomes_in(tmp_path / "o/test/evidence.json")


def test_a_run_that_is_stopped_for_a_reason_tells_it_once(tmp_path, uninterrupted):
    reason = "test.playbook.yaml changed: another run takes its place"
    with halted(tmp_path / "o", MODEL) as (process, folder):
        code, out, _ = aprtui("stop", folder, "--reason", reason)
        assert code == 0 and "stopped" in out and process.wait(60) == 130
    end = events_of(folder)[-1]
    assert isinstance(end, RunInterrupted) and end.reason == reason
    assert summarise(RunFolder(folder)).interrupted_by == reason
    # Word that an engine was killed before it could tell does not reach the next one.
    RunFolder(folder).give_reason_to_stop("stale")
    assert aprtui("run", "--resume", folder, "--jobs", 2)[0] == 0
    assert verdicts(folder) == uninterrupted[0]
    assert RunFolder(folder).take_reason_to_stop() == ""


class Loud(BuiltinConverter):
    """Another converter by its digest."""

    @property
    def identity(self):
        from dataclasses import replace

        return replace(super().identity, digest="xxh3:00")


def interrupted_run(tmp_path, undisturbed, until):
    """A run folder whose journal was cut after the first event that fits."""
    whole, playbook = undisturbed
    folder = shutil.copytree(whole, tmp_path / "run")
    kept = next(number for number, event in enumerate(events_of(folder)) if until(event)) + 1
    (folder / "journal.jsonl").write_bytes(b"".join(lines(folder)[:kept]))
    return folder, playbook


def two_verdicts(event):
    return getattr(event, "gate", "") == "F-CONV-S-A" and hasattr(event, "entry_id")


def resumed(folder):
    return next(event for event in events_of(folder) if isinstance(event, RunResumed))


def test_verdicts_stand_while_nothing_changed(tmp_path, undisturbed):
    folder, playbook = interrupted_run(tmp_path, undisturbed, two_verdicts)
    before = {gate: finished.entry_id for gate, finished in record_of(folder).verdicts().items()}
    _, told = run_in(folder, playbook, MODEL, BuiltinConverter())
    assert set(resumed(folder).gates) == set(before) and resumed(folder).comparisons == ("S~S", "S~S>A", "S~S>G")
    assert {"S~S", "S~S>A", "S~S>G"}.isdisjoint(told.begun) and "S>G~S>G>S" in told.begun
    assert {gate: told.entries[gate].entry_id for gate in before} == before


def test_another_converter_makes_everything_new(tmp_path, undisturbed):
    folder, playbook = interrupted_run(tmp_path, undisturbed, two_verdicts)
    _, told = run_in(folder, playbook, MODEL, Loud())
    own, loud = BuiltinConverter().identity, Loud().identity
    told_of = [f"{one.name} {one.version} ({one.digest})" for one in (own, loud)]
    reason = f"the converter changed: {told_of[0]} before, {told_of[1]} now"
    assert resumed(folder) == RunResumed((), reason) and len(told.begun) == len(set(told.begun)) > 12


def test_another_model_in_the_same_place_makes_everything_new(tmp_path):
    model = tmp_path / "hf"
    model.mkdir()
    for file in MODEL.iterdir():
        (model / file.name).write_bytes(file.read_bytes())
    folder, playbook = tmp_path / "run", write_playbook(tmp_path)
    run_in(folder, playbook, model, BuiltinConverter())
    (folder / "journal.jsonl").write_bytes(b"".join(lines(folder)[:-1]))
    with (model / "tokenizer_config.json").open("a", encoding="utf-8") as file:
        file.write("\n")
    _, told = run_in(folder, playbook, model, BuiltinConverter())
    assert resumed(folder) == RunResumed((), "the model changed") and len(told.begun) == len(set(told.begun)) > 12


def test_another_output_type_makes_its_gates_new(tmp_path, undisturbed):
    folder, _ = interrupted_run(tmp_path, undisturbed, lambda event: isinstance(event, RunFinished))
    changed = write_playbook(tmp_path, "aprtui:\n  outtype: {F-CONV-S-G: q8_0}\n")
    _, told = run_in(folder, changed, MODEL, BuiltinConverter())
    kept = set(resumed(folder).gates)
    assert kept >= {"F-CONV-S-A", "F-CONV-A-S", "F-CONV-A-G", "F-CONTRACT-I4-001", "G0-VALIDATE-001"}
    assert kept.isdisjoint({"F-CONV-S-G", "F-CONV-G-S", "F-CONV-RT-001", "F-CONV-NAME-001", "G0-FORMAT-GGUF-001"})
    assert told.entries["F-CONV-S-G"].to_json()["metadata"]["asked_for"] == "q8_0"


def test_a_product_is_kept_only_while_it_is_what_was_made(tmp_path):
    folder, playbook = tmp_path / "run", write_playbook(tmp_path)

    def conversions():
        return [event for event in events_of(folder) if isinstance(event, ConversionFinished)]

    process = start(tmp_path / "o", playbook.path, "--model", MODEL, "--converter", "builtin")
    folder = run_folder_below(tmp_path / "o")
    wait_until(conversions)
    kill(process.pid)
    process.communicate(timeout=60)
    wait_until(lambda: processes_of(folder) == [])
    first = conversions()[0]
    product = Path(first.product)
    if product.exists():
        product.write_bytes(b"tampered")
    code, _ = run_in(folder, playbook, MODEL, BuiltinConverter())
    assert code is ExitCode.PASSED
    assert [one.files for one in conversions() if one.conversion == first.conversion][-1] == first.files


def test_one_engine_at_a_time(tmp_path, undisturbed):
    folder, playbook = interrupted_run(tmp_path, undisturbed, two_verdicts)
    other = JournalWriter(RunFolder(folder))
    with pytest.raises(UsageError, match="another engine is working on this run"):
        run_in(folder, playbook, MODEL, BuiltinConverter())
    other.close()
    assert run_in(folder, playbook, MODEL, BuiltinConverter())[0] is ExitCode.PASSED


def test_a_torn_last_line_is_no_obstacle(tmp_path, undisturbed, uninterrupted):
    folder, playbook = interrupted_run(tmp_path, undisturbed, two_verdicts)
    whole = (folder / "journal.jsonl").read_bytes()
    (folder / "journal.jsonl").write_bytes(whole[:-20])
    run_in(folder, playbook, MODEL, BuiltinConverter())
    assert "F-CONV-S-G" in resumed(folder).gates and "F-CONV-S-A" not in resumed(folder).gates
    assert verdicts(folder) == uninterrupted[0]
