"""The command that shows what aprtui finds."""

import json
from dataclasses import replace

import pytest
from fixture_files import FIXTURES

from aprtui.cli import selftest
from aprtui.cli.main import main
from aprtui.core.causes import CAUSES
from aprtui.engine.selftest import Selftest, summarised
from aprtui.faults import FAULTS

FEW = ("weights.transposed", "structure.tensor_missing", "metadata.rope_theta.changed", "weights.rotary_missing")


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as left:
        main(["selftest", *arguments])
    return left.value.code, capsys.readouterr()


def chosen(*codes):
    return [argument for code in codes for argument in ("--fault", code)]


def test_faults_are_found_in_every_format(capsys):
    code, output = run(capsys, *chosen(*FEW[:3]), "--format", "json")
    report = json.loads(output.out)
    results = report["faults"]
    assert code == 0
    assert report["summary"]["named"] == report["summary"]["copies"] == 9
    assert {(result["fault"], result["format"]) for result in results} == {
        (fault, format_) for fault in FEW[:3] for format_ in ("SafeTensors", "GGUF", "APR")
    }
    assert {result["verdict"] for result in results} == {"found"}


def test_a_fault_that_the_model_cannot_have_is_said_so(capsys):
    code, output = run(capsys, *chosen("weights.rotary_missing"))
    assert code == 1  # nothing was tried, so nothing holds
    assert "not applicable" in output.out


def test_an_unknown_fault_is_refused(capsys):
    code, output = run(capsys, "--fault", "weights.bad_luck")
    assert code == 2
    assert "there is no fault 'weights.bad_luck'" in output.err


def test_a_missed_fault_fails_the_command(capsys, monkeypatch):
    """A comparison that looks at nothing finds nothing."""
    original = Selftest._judge

    def blind(self, path, asked_for):
        return original(self, self.source.path, asked_for)

    monkeypatch.setattr(Selftest, "_judge", blind)
    code, output = run(capsys, *chosen("weights.transposed"))
    assert code == 1
    assert "weights passes" in output.out


def test_every_fault_of_the_catalogue_can_be_asked_for():
    assert selftest._chosen(()) == list(FAULTS.values())


def test_a_fault_without_its_name_fails_the_command(capsys, monkeypatch):
    """Found alone is not enough."""
    monkeypatch.setattr("aprtui.engine.selftest.CAUSES", {code: _nameless(cause) for code, cause in CAUSES.items()})
    code, output = run(capsys, *chosen("weights.transposed"), "--json")
    summary = json.loads(output.out)["summary"]
    assert code == 1
    assert (summary["found"], summary["named"]) == (3, 0)


def test_a_name_for_the_wrong_tensor_fails_the_command(capsys, monkeypatch):
    original = Selftest._judge

    def elsewhere(self, path, asked_for):
        judged = original(self, path, asked_for)
        causes = tuple(replace(named, members=("model.norm.weight",)) for named in judged.diagnosis.causes)
        return replace(judged, diagnosis=replace(judged.diagnosis, causes=causes))

    monkeypatch.setattr(Selftest, "_judge", elsewhere)
    code, output = run(capsys, *chosen("weights.transposed"), "--json")
    summary = json.loads(output.out)["summary"]
    assert code == 1
    assert (summary["found"], summary["named"]) == (3, 0)


def _nameless(cause):
    return replace(cause, faults=())


def test_stacked_faults_are_named(capsys):
    code, output = run(capsys, *chosen("weights.negated"), "--stacks", "12", "--seed", "7", "--json")
    report = json.loads(output.out)
    assert code == 0
    assert len(report["stacks"]) == 12
    assert all(len(stack["faults"]) in (2, 3) for stack in report["stacks"])


@pytest.mark.slow
def test_everything_is_found_and_named_without_false_alarms(capsys):
    code, output = run(capsys, "--json")
    summary = json.loads(output.out)["summary"]
    assert code == 0
    assert summary["found"] == summary["copies"]
    assert summary["false_alarms"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("model", ["llama-tiny256", "gemma3-tiny", "qwen3-tiny"])
def test_other_architectures_keep_the_same_measure(model, tmp_path):
    measured = Selftest(FIXTURES / model / "hf", tmp_path)
    singles, stacks = list(measured.results(FAULTS.values())), list(measured.stacks(60, 20261))
    alarms = list(measured.false_alarms())
    summary = summarised(singles, stacks, alarms, measured.good_products, 0.0)
    assert summary["passed"], summary
    assert summary["copies"] > 400
