"""Products that later runs use again, when they must not, and when they are deleted; room on the disk; dry runs."""

import json
import os
from dataclasses import replace

import pytest
from engine_runs import aprtui, events_of, plan_in, run_in, write_playbook
from fixture_files import FIXTURES
from variants import variants

from aprtui.cli.dry_run import why_made
from aprtui.convert.builtin import BuiltinConverter
from aprtui.core.events import ConversionFinished
from aprtui.core.outcomes import ExitCode, Outcome
from aprtui.engine import workspace
from aprtui.engine.product_store import ProductStore
from aprtui.engine.selection import select

MODEL = FIXTURES / "qwen2-tiny/hf"
PAIRS = select(pairs=["S-G", "G-S"])


class Loud(BuiltinConverter):
    """Another converter by its digest."""

    @property
    def identity(self):
        return replace(super().identity, digest="xxh3:00")


def run(folder, playbook, scratch, converter=None, selection=PAIRS):
    code, told = run_in(folder, playbook, MODEL, converter or BuiltinConverter(), selection=selection, scratch=scratch)
    kept = {one.conversion: one.kept for one in events_of(folder) if isinstance(one, ConversionFinished)}
    return code, kept, told.entries


def kept_folders(scratch):
    return sorted((scratch / "aprtui-conversions").iterdir())


@pytest.fixture
def first(tmp_path):
    playbook = write_playbook(tmp_path)
    code, kept, _ = run(tmp_path / "one", playbook, tmp_path / "s")
    assert code is ExitCode.PASSED and kept == {"S>G": False, "S>G>S": False}
    assert len(kept_folders(tmp_path / "s")) == 2 and len(list((tmp_path / "s").iterdir())) == 1
    return playbook


def test_a_later_run_takes_what_is_unchanged(first, tmp_path):
    code, kept, entries = run(tmp_path / "two", first, tmp_path / "s")
    assert code is ExitCode.PASSED and kept == {"S>G": True, "S>G>S": True}
    (comparison, *_) = json.loads(entries["F-CONV-S-G"].to_json()["metadata"]["comparisons"])
    assert comparison["kept_conversion"] is True
    assert len(kept_folders(tmp_path / "s")) == 2


def test_what_will_be_reused_is_known_before_the_run(first, tmp_path):
    def why(folder="s", converter=None, **places):
        plan = plan_in(
            tmp_path / "p", first, MODEL, converter or BuiltinConverter(), selection=PAIRS, scratch=tmp_path / folder
        )
        return set(why_made(replace(plan, **places)).values())

    assert why() == {""}
    assert why(folder="elsewhere") == {"none is kept"}
    assert why(converter=Loud()) == {"another converter made the one that is kept"}
    assert why(ignores_kept=True) == {"asked to convert anew"}
    assert why(keeps_products=False) == {"products end with the run"}
    before = min(file.stat().st_mtime for file in MODEL.iterdir()) - 10
    for folder in kept_folders(tmp_path / "s"):
        os.utime(folder / "conversion.json", (before, before))
    assert why() == {"its source is newer than the one that is kept"}


def test_another_converter_supersedes_it(first, tmp_path):
    before = kept_folders(tmp_path / "s")
    _, kept, _ = run(tmp_path / "two", first, tmp_path / "s", Loud())
    assert kept == {"S>G": False, "S>G>S": False}
    after = kept_folders(tmp_path / "s")
    assert len(after) == 2 and not set(before) & set(after)


def test_another_output_type_is_another_conversion(first, tmp_path):
    other = write_playbook(tmp_path, "aprtui:\n  outtype: {F-CONV-S-G: f16}\n")
    _, kept, _ = run(tmp_path / "two", other, tmp_path / "s")
    assert kept == {"S>G": False, "S>G>S": False} and len(kept_folders(tmp_path / "s")) == 4


def test_a_product_that_was_tampered_with_is_made_again(first, tmp_path):
    for folder in kept_folders(tmp_path / "s"):
        for file in folder.glob("*.gguf"):
            file.write_bytes(file.read_bytes()[:-1])
    code, kept, _ = run(tmp_path / "two", first, tmp_path / "s")
    assert code is ExitCode.PASSED and kept["S>G"] is False


@variants("record", ['{"product": "../../x"}', "{}", "["])
def test_a_record_that_cannot_be_believed_goes_with_its_product(first, tmp_path, record):
    (folder, _) = kept_folders(tmp_path / "s")
    (folder / "conversion.json").write_text(record)
    (tmp_path / "s/aprtui-conversions/stray").mkdir()
    code, kept, _ = run(tmp_path / "two", first, tmp_path / "s")
    assert code is ExitCode.PASSED and sorted(kept.values()) == [False, True]
    assert len(kept_folders(tmp_path / "s")) == 2


def test_a_record_that_leads_elsewhere_is_no_record(first, tmp_path):
    (folder, _) = kept_folders(tmp_path / "s")
    record = json.loads((folder / "conversion.json").read_text())
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (folder / "conversion.json").write_text(json.dumps(record | {"product": "../../../victim"}))
    run(tmp_path / "two", first, tmp_path / "s")
    assert victim.read_text() == "precious"


def test_gates_about_converting_twice_never_take_a_kept_product(tmp_path):
    playbook, selection = write_playbook(tmp_path), select(["F-CONV-IDEM-001", "F-CONV-COM-001"])
    _, kept, _ = run(tmp_path / "one", playbook, tmp_path / "s", selection=selection)
    assert set(kept) == {"S>G", "S>G>A", "S>G>A#2", "S>G>S", "S>G>S>A"}
    code, kept, _ = run(tmp_path / "two", playbook, tmp_path / "s", selection=selection)
    assert code is ExitCode.PASSED
    assert kept.pop("S>G") is True and set(kept.values()) == {False}


def test_fresh_converts_anew(first, tmp_path):
    arguments = (
        "--model",
        MODEL,
        "--converter",
        "builtin",
        "--output-dir",
        tmp_path / "o",
        "--scratch",
        tmp_path / "s",
    )
    code, _, _ = aprtui("run", first.path, *arguments, "--pair", "S-G", "--fresh")
    (folder,) = (tmp_path / "o/test/runs").iterdir()
    assert code == 0
    assert [one.kept for one in events_of(folder) if isinstance(one, ConversionFinished)] == [False]


def test_the_oldest_goes_where_there_is_no_room(first, tmp_path, monkeypatch):
    # For another playbook's run nothing here is wanted: it goes, oldest first, until there is room.
    other = write_playbook(tmp_path, "aprtui:\n  outtype: {F-CONV-S-G: f16}\n", name="other")
    plan = plan_in(tmp_path / "x", other, MODEL, BuiltinConverter(), selection=PAIRS, scratch=tmp_path / "s")
    free = iter([plan.peak_bytes - 1, plan.peak_bytes])

    class Usage:
        @property
        def free(self):
            return next(free)

    monkeypatch.setattr("aprtui.engine.product_store.shutil.disk_usage", lambda path: Usage())
    ProductStore(plan).model_read({"S": {"a": "xxh3:1"}})
    assert len(kept_folders(tmp_path / "s")) == 1


def test_without_room_nothing_is_converted_and_nobody_is_blamed(tmp_path, monkeypatch):
    class Full:
        free = 10

    monkeypatch.setattr(workspace.shutil, "disk_usage", lambda path: Full())
    code, told = run_in(tmp_path / "r", write_playbook(tmp_path), MODEL, BuiltinConverter())
    assert code is ExitCode.ENVIRONMENT
    assert told.entries["G0-FORMAT-WORKSPACE-001"].outcome is Outcome.CRASHED
    assert "not enough disk space for products" in told.entries["G0-FORMAT-WORKSPACE-001"].reason
    assert told.entries["F-CONV-S-G"].outcome is Outcome.CRASHED
    assert told.entries["G0-VALIDATE-001"].outcome is Outcome.CORROBORATED
    assert not [one for one in events_of(tmp_path / "r") if isinstance(one, ConversionFinished)]


def test_the_peak_is_what_lies_there_at_once(tmp_path):
    playbook = write_playbook(tmp_path)
    size = plan_in(tmp_path / "r", playbook, MODEL, BuiltinConverter()).model.nbytes
    pair = plan_in(tmp_path / "r", playbook, MODEL, BuiltinConverter(), selection=select(pairs=["S-G"]))
    assert pair.peak_bytes == size
    whole = plan_in(tmp_path / "r", playbook, MODEL, BuiltinConverter())
    assert size * 2 < whole.peak_bytes < size * len(whole.conversions)
    kept = plan_in(tmp_path / "r", playbook, MODEL, BuiltinConverter(), scratch=tmp_path / "s")
    assert kept.peak_bytes == size * len(kept.conversions)


def test_a_dry_run_lists_everything_and_does_nothing(tmp_path):
    playbook = write_playbook(tmp_path, "aprtui:\n  outtype: {F-CONV-S-G: q8_0}\n")
    arguments = ("--model", MODEL, "--output-dir", tmp_path / "o", "--dry-run")
    code, out, _ = aprtui("run", playbook.path, *arguments, "--converter", "builtin")
    assert code == 0 and not (tmp_path / "o").exists()
    assert "F-CONV-S-G               P0  SafeTensors converted to GGUF, 1 comparison" in out
    assert "F-CONTRACT-I1-001        it runs models; ask for it" in out
    assert (
        "S>G              q8_0, about 0.00 GiB" in out
        and "S>G>A#2" in out
        and "converted: its gate converts twice" in out
    )
    assert "0.00 GiB, converted: products end with the run" in out
    assert "peak disk   about" in out and "GiB free in" in out and "to write" in out
    code, out, _ = aprtui("run", playbook.path, *arguments)
    assert code == 0 and "every gate that needs a conversion will be Skipped" in out
    assert "F-CONV-S-G               P0  SafeTensors converted to GGUF, 1 comparison - will be Skipped" in out
    assert "G0-VALIDATE-001          P0  The model's weights are sound, 1 comparison\n" in out
