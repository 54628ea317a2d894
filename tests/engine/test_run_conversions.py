"""Runs of a playbook with good, damaging and failing converters: outcomes, reasons, and what the evidence says."""

import json
import shutil
from itertools import groupby
from pathlib import Path

import pytest
from engine_runs import ONLY_PAIRS, PAIRS, Collecting, events_of, run_in, write_playbook
from fixture_files import FIXTURES
from safetensors.torch import load_file, save_file
from variants import variants

from aprtui.convert.builtin import BuiltinConverter
from aprtui.convert.builtin.product import write_product
from aprtui.core.errors import AprtuiError, UsageError
from aprtui.core.events import BehaviourMeasured, ConversionFinished, LayerMeasured, LevelFinished, TensorFinished
from aprtui.core.outcomes import Outcome
from aprtui.core.tolerance import ToleranceSettings
from aprtui.engine.run import rejudge_run
from aprtui.engine.selection import EVERYTHING, select
from aprtui.formats.container import Format
from aprtui.formats.digest import file_digest
from aprtui.formats.model import open_model
from aprtui.formats.output_types import parse_output_type
from aprtui.playbook import load_playbook
from aprtui.store import row_cache
from aprtui.store.run_folder import RunFolder

MODEL = FIXTURES / "qwen2-tiny/hf"


class Swapping(BuiltinConverter):
    """Exchanges two tensors of one shape in every GGUF that it writes."""

    def convert(self, source, target, destination, asked_for):
        product = super().convert(source, target, destination, asked_for)
        if target is Format.GGUF:
            first, second = (
                open_model(product).tensors[f"model.layers.{layer}.mlp.up_proj.weight"] for layer in (0, 1)
            )
            raw = bytearray(product.read_bytes())
            a, b = (slice(tensor.offset, tensor.offset + tensor.nbytes) for tensor in (first, second))
            raw[a], raw[b] = raw[b], raw[a]
            product.write_bytes(raw)
        return product


class Forgetful(BuiltinConverter):
    """Loses config.json of every SafeTensors product."""

    def convert(self, source, target, destination, asked_for):
        product = super().convert(source, target, destination, asked_for)
        if target is Format.SAFETENSORS:
            (product / "config.json").unlink()
        return product


class Failing(BuiltinConverter):
    """Raises what it was given, for one target format."""

    def __init__(self, error, target):
        self.error, self.target = error, target

    def convert(self, source, target, destination, asked_for):
        if target is self.target:
            raise self.error
        return super().convert(source, target, destination, asked_for)


class Garbled(BuiltinConverter):
    """Writes an APR of nothing but zeros."""

    def convert(self, source, target, destination, asked_for):
        product = super().convert(source, target, destination, asked_for)
        if target is Format.APR:
            product.write_bytes(bytes(4096))
        return product


class Absent(BuiltinConverter):
    """Names a product that is not there."""

    def convert(self, source, target, destination, asked_for):
        return destination / "nothing.gguf"


@pytest.fixture
def playbook(tmp_path):
    path = tmp_path / "test.playbook.yaml"
    path.write_text('name: test\nversion: "1.0.0"\nmodel:\n  hf_repo: org/qwen2-tiny\ntest_matrix:\n  seed: 7\n')
    return load_playbook(path)


def changed(playbook, old, new):
    path = playbook.path
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    return load_playbook(path)


def with_keys(playbook, keys):
    return changed(playbook, "name: test\n", f"name: test\naprtui:\n  {keys}\n")


def results(playbook, converter, tmp_path, model=MODEL, selection=ONLY_PAIRS):
    return run_in(tmp_path / "run", playbook, model, converter, selection=selection)[1].entries


def outcomes(entries):
    """Of the six pairs."""
    return {gate.removeprefix("F-CONV-"): entries[gate].outcome.value for gate in PAIRS if gate in entries}


def comparison(entry, number=0):
    """What an entry says of one of its comparisons."""
    return json.loads(entry.to_json()["metadata"]["comparisons"])[number]


def test_good_conversions_hold(playbook, tmp_path):
    entries = results(playbook, BuiltinConverter(), tmp_path, selection=EVERYTHING)
    assert entries.keys() >= {*PAIRS, "F-CONV-RT-001", "F-CONV-IDEM-001", "F-CONV-NAME-001", "G0-VALIDATE-001"}
    assert {entry.outcome for entry in entries.values()} == {Outcome.CORROBORATED}
    assert entries["F-CONV-S-A"].reason == "Weights identical, every value of all 26 tensors equal"
    # A run that has finished keeps no products.
    files = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert files == ["evidence.json", "journal.jsonl", "junit.xml", "pid.json", "plan.json", "stderr.log"]
    assert (tmp_path / "junit.xml").read_bytes() == (tmp_path / "run/junit.xml").read_bytes()


def test_a_run_with_a_long_journal_leaves_its_rows_as_columns(playbook, tmp_path, monkeypatch):
    monkeypatch.setattr(row_cache, "_WORTH_IT", 1)
    results(playbook, BuiltinConverter(), tmp_path, selection=select(["F-CONV-S-G"]))
    folder = RunFolder(tmp_path / "run")
    rows = row_cache.read_rows(folder, len(folder.plan().comparisons))
    assert len(rows.columns) == 26 and rows.journal_bytes == folder.journal.stat().st_size
    before = rejudge_run(folder, ToleranceSettings(), Collecting())
    assert before == 0 and row_cache.read_rows(folder, 9).journal_bytes > rows.journal_bytes


@pytest.mark.parametrize("root", ["gguf/bf16.gguf", "hf"])
def test_a_run_starts_from_any_format(playbook, tmp_path, root):
    entries = results(playbook, BuiltinConverter(), tmp_path, FIXTURES / "llama-tiny256" / root)
    assert set(outcomes(entries).values()) == {"Corroborated"}


def test_without_a_converter_everything_is_skipped(playbook, tmp_path):
    entries = results(playbook, None, tmp_path)
    assert set(outcomes(entries).values()) == {"Skipped"}
    assert all("--converter names another" in entries[gate].reason for gate in PAIRS)
    # What needs no conversion is judged all the same.
    assert entries["G0-VALIDATE-001"].outcome is Outcome.CORROBORATED
    assert "converter" not in entries["F-CONV-S-G"].to_json()["metadata"]


def test_only_pairs_of_the_playbooks_formats_run(playbook, tmp_path):
    narrowed = changed(playbook, "test_matrix:", "  formats: [safetensors, apr]\ntest_matrix:")
    entries = results(narrowed, BuiltinConverter(), tmp_path, selection=EVERYTHING)
    assert list(outcomes(entries)) == ["S-A", "A-S"]
    assert not any("GGUF" in gate or "-RT-" in gate for gate in entries)


def test_the_output_type_of_the_playbook_is_asked_for_and_judged(playbook, tmp_path):
    entries = results(with_keys(playbook, "outtype: q8_0"), BuiltinConverter(), tmp_path)
    # APR has no Q8_0, which no converter can help; SafeTensors has no block types at all, so its pairs stay lossless.
    assert outcomes(entries) == {
        "S-G": "Corroborated",
        "S-A": "Skipped",
        "G-S": "Corroborated",
        "A-S": "Skipped",
        "A-G": "Skipped",
        "G-A": "Skipped",
    }
    assert "APR cannot store Q8_0" in entries["F-CONV-S-A"].reason
    assert "quantisation only, in 15 of 26 tensors, every block certified" in entries["F-CONV-S-G"].reason
    found = comparison(entries["F-CONV-S-G"])
    assert found["asked_for"] == "q8_0" and "--outtype q8_0" in found["conversion_commands"][0]
    assert any(group["rule"] == "certificate" for group in found["tolerances"])


def test_output_types_by_pair(playbook, tmp_path):
    keys = with_keys(playbook, "outtype: {F-CONV-S-G: q4_0, F-CONV-S-A: int8, F-CONV-A-G: f16}")
    entries = results(keys, BuiltinConverter(), tmp_path, FIXTURES / "llama-tiny256/hf")
    assert set(outcomes(entries).values()) == {"Corroborated"}
    asked_for = {gate: entries[gate].to_json()["metadata"]["asked_for"] for gate in PAIRS}
    assert (
        asked_for["F-CONV-S-A"] == "int8" and asked_for["F-CONV-A-G"] == "f16" and asked_for["F-CONV-G-S"] == "lossless"
    )


def test_an_unknown_output_type_names_its_line(playbook, tmp_path):
    with pytest.raises(UsageError, match=r"line 3, aprtui\.outtype.*unknown output type 'q9'"):
        results(with_keys(playbook, "outtype: q9"), BuiltinConverter(), tmp_path)


def test_a_quantised_type_for_a_pair_to_safetensors_is_the_playbooks_mistake(playbook, tmp_path):
    keys = with_keys(playbook, "outtype: {default: f16, F-CONV-G-S: q8_0}")
    with pytest.raises(UsageError, match=r"line 3, aprtui\.outtype\.F-CONV-G-S: SafeTensors cannot hold q8_0; use los"):
        results(keys, BuiltinConverter(), tmp_path)


def test_an_unknown_default_names_its_own_line(playbook, tmp_path):
    keys = with_keys(playbook, "outtype:\n    F-CONV-S-G: q8_0\n    default: q9")
    with pytest.raises(UsageError, match=r"line 5, aprtui\.outtype\.default: unknown output type 'q9'"):
        results(keys, BuiltinConverter(), tmp_path)


def test_levels_that_the_playbook_leaves_out_are_named(playbook, tmp_path):
    keys = with_keys(playbook, "levels: [structure, weights]")
    entries = results(keys, BuiltinConverter(), tmp_path, selection=EVERYTHING)
    assert set(outcomes(entries).values()) == {"Corroborated"}
    metadata = entries["F-CONV-S-G"].to_json()["metadata"]
    assert json.loads(metadata["levels_not_asked_for"]) == ["integrity", "metadata", "tokenizer", "behaviour"]
    assert "integrity: not planned" in comparison(entries["F-CONV-S-G"])["not_checked"]
    assert "F-CONV-CONFIG-001" not in entries


def test_a_part_of_the_tensors_is_no_pass(playbook, tmp_path):
    entries = results(with_keys(playbook, 'tensors: ["*.mlp.*"]'), BuiltinConverter(), tmp_path)
    assert set(outcomes(entries).values()) == {"Skipped"}
    assert entries["F-CONV-S-G"].reason == "only tensors that match *.mlp.* were compared"


def test_results_are_in_the_journal_as_soon_as_they_are_there(tmp_path):
    """Levels that run no model are told before a model runs, and then each of its layers."""
    pytest.importorskip("torch")
    pair = select(["F-CONV-S-A"], levels=("weights", "behaviour"))
    playbook = write_playbook(tmp_path)
    run_in(tmp_path / "run", playbook, MODEL, Swapping(), selection=pair)
    of_pair = (TensorFinished, LevelFinished, LayerMeasured, BehaviourMeasured)
    told = [event for event in events_of(tmp_path / "run") if isinstance(event, of_pair)]
    kinds = [kind for kind, _ in groupby(told, type)]
    assert kinds == [TensorFinished, LevelFinished, LayerMeasured, LevelFinished, BehaviourMeasured]
    layers = [event.layer for event in told if isinstance(event, LayerMeasured)]
    assert tuple(layers) == told[-1].behaviour.layers


def test_damage_is_found_where_it_was_done(playbook, tmp_path):
    entries = results(playbook, Swapping(), tmp_path)
    # What a damaged product becomes is right with respect to it: the fault is S to G's, and A to G's.
    assert {gate for gate, outcome in outcomes(entries).items() if outcome == "Falsified"} == {"S-G", "A-G"}
    entry = entries["F-CONV-S-G"]
    assert entry.reason.startswith("NOT EQUIVALENT (weights): weights different in 2 of 26 tensors")
    failing = next(group for group in comparison(entry)["tolerances"] if group["failed"])
    assert failing["rule"] == "bit-exact" and failing["failed"] == 2
    assert failing["needed"] > 0 and failing["margin"] > 1000


def test_lost_metadata_is_named(playbook, tmp_path):
    entries = results(playbook, Forgetful(), tmp_path)
    assert {gate for gate, outcome in outcomes(entries).items() if outcome == "Falsified"} == {"G-S", "A-S"}
    assert "(metadata" in entries["F-CONV-G-S"].reason
    assert "no config.json beside it" in entries["F-CONV-G-S"].reason


@variants("error", [AprtuiError("the disk is full"), ZeroDivisionError("division by zero")])
def test_a_failing_conversion_is_a_finding(playbook, tmp_path, error):
    entries = results(playbook, Failing(error, Format.GGUF), tmp_path)
    assert outcomes(entries) == {
        "S-G": "Falsified",
        "S-A": "Corroborated",
        "G-S": "Skipped",
        "A-S": "Corroborated",
        "A-G": "Falsified",
        "G-A": "Skipped",
    }
    reason = entries["F-CONV-S-G"].reason
    assert reason.startswith("the conversion failed: ") and str(error) in reason
    assert entries["F-CONV-G-S"].reason.startswith("no gguf source: its conversion failed: ")
    found = comparison(entries["F-CONV-S-G"])
    assert set(found["source_files"]) >= {str(MODEL / "model.safetensors"), str(MODEL / "config.json")}


def test_an_unreadable_product_is_a_finding(playbook, tmp_path):
    entries = results(playbook, Garbled(), tmp_path)
    assert outcomes(entries)["S-A"] == "Falsified"
    assert "(integrity)" in entries["F-CONV-S-A"].reason
    assert comparison(entries["F-CONV-S-A"])["target_files"]
    assert outcomes(entries)["A-S"] == "Skipped"
    assert "its source cannot be opened" in entries["F-CONV-A-S"].reason


def test_a_product_that_is_not_there_is_a_finding(playbook, tmp_path):
    entries = results(playbook, Absent(), tmp_path)
    assert outcomes(entries)["S-G"] == "Falsified"
    assert "there is no product at" in entries["F-CONV-S-G"].reason


def test_an_unreadable_model_is_nobodys_fault_but_the_environments(playbook, tmp_path):
    shutil.copytree(MODEL, tmp_path / "hf")
    (tmp_path / "hf/model.safetensors").write_bytes(b"\x00" * 100)
    entries = results(playbook, BuiltinConverter(), tmp_path, tmp_path / "hf")
    assert set(outcomes(entries).values()) == {"Crashed"}
    assert "begins with zeros" in entries["F-CONV-S-G"].reason


def test_the_evidence_says_everything_that_a_verdict_rests_on(playbook, tmp_path):
    entry = results(playbook, BuiltinConverter(), tmp_path)["F-CONV-G-S"]
    assert entry.scenario.to_json()["model"] == {"org": "org", "name": "qwen2-tiny", "variant": None}
    metadata = entry.to_json()["metadata"]
    assert all(isinstance(value, str) for value in metadata.values())
    assert metadata["rules_version"] == "3" and metadata["severity"] == "P0" and metadata["pass_rule"]
    assert metadata["asked_for"] == "lossless"
    found = json.loads(metadata["comparisons"])[0]
    for group in found["tolerances"]:
        assert {"rule", "limit", "origin", "measured", "needed"} <= group.keys()
    identity = BuiltinConverter().identity
    assert json.loads(metadata["converter"]) == {
        "name": "builtin",
        "path": str(identity.path),
        "version": identity.version,
        "digest": identity.digest,
    }
    first, second = found["conversion_commands"]
    gguf = tmp_path / "run/products/S-G/model.gguf"
    assert first == f"aprtui convert {MODEL} {gguf} --outtype lossless"
    assert second.startswith(f"aprtui convert {gguf} ")
    ((name, digest),) = found["source_files"].items()
    assert name == str(gguf) and digest.startswith("xxh3:")
    names = {Path(name).name for name in found["target_files"]}
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= names


def test_every_conversion_is_made_once(playbook, tmp_path):
    results(playbook, BuiltinConverter(), tmp_path, selection=EVERYTHING)
    made = [event.conversion for event in events_of(tmp_path / "run") if isinstance(event, ConversionFinished)]
    assert made[:6] == ["S>G", "S>A", "S>G>S", "S>A>S", "S>A>G", "S>G>A"]
    assert sorted(made[6:]) == ["S>A>G>A", "S>A>G>A>S", "S>A>G>S", "S>G>A#2", "S>G>A>S", "S>G>A>S>G", "S>G>S>A"]


def test_the_digest_of_the_converter_follows_its_source(monkeypatch, tmp_path):
    from aprtui.convert.builtin import converter

    before = BuiltinConverter().identity.digest
    assert before.startswith("xxh3:") and BuiltinConverter().identity.digest == before
    shutil.copytree(BuiltinConverter().identity.path / "convert", tmp_path / "convert")
    shutil.copytree(BuiltinConverter().identity.path / "formats", tmp_path / "formats")
    monkeypatch.setattr(converter, "_PACKAGE", tmp_path)
    assert BuiltinConverter().identity.digest == before
    with (tmp_path / "formats/chunk.py").open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    assert BuiltinConverter().identity.digest != before


def test_write_product_leaves_the_source_alone(tmp_path):
    before = {path.name: file_digest(path) for path in MODEL.iterdir()}
    write_product(open_model(MODEL), Format.APR, tmp_path / "m.apr", parse_output_type("lossless"))
    assert {path.name: file_digest(path) for path in MODEL.iterdir()} == before


def test_a_truncated_checkpoint_becomes_no_product(playbook, tmp_path):
    shutil.copytree(MODEL, tmp_path / "hf")
    tensors = load_file(MODEL / "model.safetensors")
    save_file(tensors, tmp_path / "hf/model.safetensors")
    whole = (tmp_path / "hf/model.safetensors").read_bytes()
    (tmp_path / "hf/model.safetensors").write_bytes(whole[:-100])
    entries = results(playbook, BuiltinConverter(), tmp_path, tmp_path / "hf")
    assert set(outcomes(entries).values()) <= {"Falsified", "Skipped", "Crashed"}
    assert not list((tmp_path / "run").rglob("*.gguf"))
