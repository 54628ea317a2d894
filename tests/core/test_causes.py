"""The catalogue of causes is whole: every fault has a name, every root cause a row or a reason."""

import json
from fnmatch import fnmatchcase

import pytest
from make_cause_table import TABLE, table

from aprtui.cli.main import main
from aprtui.core.causes import CAUSES, HISTORY
from aprtui.faults import FAULTS


def test_the_table_is_up_to_date():
    assert TABLE.read_text(encoding="utf-8") == table()


def test_root_causes_are_numbered_without_gaps():
    assert list(HISTORY) == [f"RC-{number:02}" for number in range(1, 87)]


def test_every_root_cause_has_a_cause_or_a_reason():
    covered = {code for cause in CAUSES.values() for code in cause.history}
    assert covered <= set(HISTORY)
    assert [code for code, root in HISTORY.items() if code not in covered and not root.outside] == []


@pytest.mark.parametrize("code", FAULTS)
def test_every_fault_has_a_name(code):
    assert any(cause.names(code) for cause in CAUSES.values())


def test_what_stands_beside_a_name_is_none():
    """A GGUF in Q4_K that calls itself F32 has two things wrong; the second alone does not say what the first is."""
    beside = CAUSES["metadata.file_type"]
    assert beside.is_right_beside("structure.silent_q4_k") and not beside.names("structure.silent_q4_k")
    assert not beside.is_right_beside("weights.transposed")
    assert [code for code, cause in CAUSES.items() if any(map(cause.names, cause.beside))] == []


@pytest.mark.parametrize("cause", CAUSES.values(), ids=list(CAUSES))
def test_a_cause_is_described(cause):
    assert cause.title[0].isupper() or cause.title.split()[0].islower() or "." in cause.title.split()[0]
    assert not cause.title.endswith(".")
    assert cause.advice.endswith(".")
    assert cause.symptoms and cause.test and cause.fix
    assert all(any(fnmatchcase(code, pattern) for code in FAULTS) for pattern in (*cause.faults, *cause.beside))


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as left:
        main(["causes", *arguments])
    return left.value.code, capsys.readouterr()


def test_the_command_lists_all(capsys):
    code, output = run(capsys)
    assert code == 0
    assert all(name in output.out for name in CAUSES)


def test_one_cause_can_be_asked_for_by_its_history(capsys):
    code, output = run(capsys, "RC-61", "--format", "json")
    assert code == 0
    assert {cause["code"] for cause in json.loads(output.out)["causes"]} >= {"weights.rotary_missing"}


def test_an_unknown_cause_is_one_line(capsys):
    code, output = run(capsys, "RC-54")
    assert code == 2
    assert "ONNX" in output.err
    assert run(capsys, "nonsense")[0] == 2
