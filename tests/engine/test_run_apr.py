"""A playbook through `apr` itself, as 0.72.3 was recorded on llama-tiny256: what expected.json lists is found."""

import json
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO

import pytest
from fixture_files import FIXTURES
from hub_cache import fresh_home
from stand_in_apr import install_apr

from aprtui.cli import main
from aprtui.formats.digest import file_digest

LLAMA = FIXTURES / "llama-tiny256"
SOURCE = LLAMA / "hf"
EXPECTED = {entry["file"]: entry for entry in json.loads((FIXTURES / "apr/expected.json").read_text())}
RECORDED = {
    "F-CONV-S-G": "0.72.3/llama-tiny256/sg.gguf",
    "F-CONV-S-A": "0.72.3/llama-tiny256/s-import.apr",
    "F-CONV-G-S": "0.72.3/llama-tiny256/gs-bf16",
    "F-CONV-G-A": "0.72.3/llama-tiny256/g-bf16-import.apr",
}


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return int(stopped.value.code or 0), captured.out, captured.err


def new_playbook(monkeypatch, folder):
    fresh_home(monkeypatch, folder)
    path = folder / "llama.playbook.yaml"
    path.write_text('name: llama\nversion: "1.0.0"\nmodel:\n  hf_repo: org/llama-tiny256\n')
    return path


def new_apr(monkeypatch, folder):
    program = install_apr(folder / "bin", "0.72.3")
    monkeypatch.setenv("PATH", str(folder / "bin"))
    return program


@pytest.fixture
def playbook(monkeypatch, tmp_path):
    return new_playbook(monkeypatch, tmp_path)


@pytest.fixture
def apr(monkeypatch, tmp_path):
    return new_apr(monkeypatch, tmp_path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("llama")


@pytest.fixture(scope="module")
def entries(folder):
    """Entries of a run that was given llama.cpp's GGUF for the pairs from GGUF."""
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        path = new_playbook(patch, folder)
        new_apr(patch, folder)
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        arguments = ["run", path, "--model", SOURCE, "--source", LLAMA / "gguf/bf16.gguf"]
        with pytest.raises(SystemExit) as stopped:
            main([str(one) for one in [*arguments, "--output", folder / "evidence.json"]])
    assert stopped.value.code == 1
    found = json.loads((folder / "evidence.json").read_text(encoding="utf-8"))
    return {entry["gate_id"]: entry for entry in found}


def comparison(entry, number=0):
    return json.loads(entry["metadata"]["comparisons"])[number]


def failures(entry):
    """Subjects of the findings that fail, by level."""
    return {
        level["level"]: {one["subject"] for one in level["findings"] if one["severity"] == "failure"}
        for level in comparison(entry)["levels"]
    }


@pytest.mark.parametrize("gate", RECORDED)
def test_a_product_is_judged_as_is_known_of_it(entries, gate):
    expected = EXPECTED[RECORDED[gate]]
    found = failures(entries[gate])
    assert {level for level, subjects in found.items() if not subjects} >= set(expected["passes"])
    for level, subjects in expected["fails"].items():
        assert found[level] >= set(subjects), level
        if level in ("integrity", "structure", "weights"):
            assert found[level] == set(subjects), level
    assert entries[gate]["outcome"] == ("Falsified" if expected["fails"] else "Corroborated")


def test_what_apr_made_of_its_own_import_is_judged_against_the_model_too(entries):
    # A-S: the head is dropped by this conversion; what the import lost already is the import's fault.
    entry = entries["F-CONV-A-S"]
    assert entry["outcome"] == "Falsified" and "lm_head.weight" in failures(entry)["structure"]
    expected = EXPECTED["0.72.3/llama-tiny256/as"]
    against_model = comparison(entry, 1)
    assert against_model["comparison"] == "S~S>A>S" and against_model["via"] == ["S>A"]
    found = {
        level["level"]: {one["subject"] for one in level["findings"] if one["severity"] == "failure"}
        for level in against_model["levels"]
    }
    for level, subjects in expected["fails"].items():
        assert found[level] >= set(subjects), level


def test_what_was_asked_for_and_what_came_is_named(entries):
    entry = entries["F-CONV-S-G"]
    assert "Q4_K was not asked for" in entry["reason"]
    found = comparison(entry)
    assert found["asked_for"] == "lossless"
    structure = next(level for level in found["levels"] if level["level"] == "structure")
    types = [one for one in structure["findings"] if one.get("kind") == "type"]
    assert len(types) == 14
    assert {(one["expected"], one["found"]) for one in types} == {("BF16 or F32 or F64", "Q4_K")}
    assert entries["F-CONV-WEIGHT-001"]["outcome"] == "Falsified"
    assert entries["F-CONTRACT-I3-001"]["outcome"] == "Corroborated"  # The APR has the types that were asked for.


def test_what_was_not_recorded_is_skipped_with_the_reason(entries):
    for gate in ("F-CONV-RT-001", "F-CONV-COM-001"):
        assert entries[gate]["outcome"] == "Skipped", entries[gate]["reason"]
        assert "apr ended with exit code 77: this source was not recorded" in entries[gate]["reason"]
    # Converting the recorded GGUF twice gives the recorded APR twice.
    assert entries["F-CONV-IDEM-001"]["outcome"] == "Corroborated"


def test_the_evidence_names_program_version_digest_and_output(folder, entries):
    apr = folder / "bin/apr"
    entry = entries["F-CONV-S-G"]
    identity = json.loads(entry["metadata"]["converter"])
    assert identity["name"] == "apr" and identity["version"] == "0.72.3 (9c34b9a91)"
    assert identity["path"] == str(apr) and identity["digest"] == file_digest(apr)
    assert entry["host"]["apr_version"] == "0.72.3 (9c34b9a91)"
    assert entry["exit_code"] == 0
    (command,) = comparison(entry)["conversion_commands"]
    assert " rosetta convert " in command
    (program,) = comparison(entry)["programs"]
    assert program["arguments"][1:3] == ["rosetta", "convert"] and program["exit_code"] == 0


def test_a_source_that_was_given_is_compared_with_the_model(entries):
    gate = entries["G0-FORMAT-GGUF-001"]
    assert gate["outcome"] == "Corroborated", gate["reason"]
    assert comparison(gate)["comparison"] == "S~G"
    given = json.loads(gate["metadata"]["given_sources"])
    assert list(given["G"]) == [str(LLAMA / "gguf/bf16.gguf")]


def test_without_apr_conversion_gates_are_skipped_and_say_so(monkeypatch, playbook, capsys, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    code, out, err = run(capsys, "run", playbook, "--model", SOURCE, "--output", tmp_path / "e.json")
    assert code == 5 and "apr is not on PATH" in err
    assert "pass  F-" not in out and "pass  G0-VALIDATE-001" in out


def test_two_transcripts_that_differ_in_path_and_time_alone_are_no_difference(apr, playbook, capsys, tmp_path):
    """The seed's question: both runs print other paths and seconds, and both products are the same."""
    text = apr.read_text(encoding="utf-8")
    noisy = text.replace(
        'sys.stderr.write(entry["stderr"])',
        'import time\nsys.stderr.write(f"Source: {arguments}\\nCompleted in {time.perf_counter()} s\\n")',
    )
    assert noisy != text
    apr.write_text(noisy, encoding="utf-8")
    arguments = ("run", playbook, "--model", LLAMA / "gguf/bf16.gguf", "--output", tmp_path / "e.json")
    code, _, _ = run(capsys, *arguments, "--gate", "F-CONV-G-A", "--gate", "F-CONV-IDEM-001")
    found = json.loads((tmp_path / "e.json").read_text(encoding="utf-8"))
    assert code == 0 and [entry["outcome"] for entry in found] == ["Corroborated", "Corroborated"]
    records = [comparison(entry) for entry in found]
    printed = [program["last_lines"] for record in records for program in record["programs"]]
    assert len(printed) == 2 and printed[0] != printed[1]


def test_every_cause_is_named_once_with_the_conversions_that_show_it(entries, capsys, folder):
    (run_id,) = {entry["metadata"]["run"] for entry in entries.values()}
    code, out, _ = run(capsys, "show", folder / "llama/runs" / run_id)
    assert code == 1
    head = out.split("G0-PULL-001")[0]
    for question in ("transposed?    yes", "quantisation?  yes", "tokenizer?     yes"):
        assert question in head
    causes = out.split("\ncauses\n")[1]
    for cause in (
        *("structure.type_not_asked_for", "weights.rotary_missing", "weights.rotary_extra", "structure.head_missing"),
        *("metadata.constant_config", "tokenizer.missing", "tokenizer.pre_tokenizer_lost", "metadata.rope_type"),
    ):
        assert causes.count(f"  {cause}\n") == 1, cause
    rotary = causes.split("weights.rotary_missing")[1].split("weights.rotary_extra")[0]
    assert "shows in  S~S>G, S>A~S>A>G" in rotary
    assert "unexplained" not in causes
    diagnosis = comparison(entries["F-CONV-S-G"])["diagnosis"]
    assert diagnosis["is_complete"] is True
    assert {cause["code"] for cause in diagnosis["causes"]} >= {
        "structure.type_not_asked_for",
        "weights.rotary_missing",
    }
