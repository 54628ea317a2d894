"""JUnit XML, read by a package that others wrote and by Python's own parser."""

from datetime import UTC, datetime
from xml.etree import ElementTree

import junitparser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aprtui.core.errors import AprtuiError
from aprtui.core.outcomes import Outcome
from aprtui.report.evidence import EvidenceEntry, Scenario
from aprtui.report.junit import junit_tree, write_junit

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def entry(gate="F-CONV-S-G", outcome=Outcome.CORROBORATED, playbook="p", **other):
    details = {
        "run": "20260102-030405-a1b2",
        "playbook": {"name": playbook, "version": "1", "path": "p.yaml", "digest": "xxh3:1"},
        "model": {"path": "m", "how": "named", "commit": None},
        "severity": "P0",
        "levels": ["structure", "weights"],
        "command": f"aprtui run p.yaml --gate {gate}",
    }
    usual = {"reason": "so it is", "output": "", "duration_ms": 1234, "details": details, "timestamp": NOW}
    return EvidenceEntry(gate, Scenario("a/b", "gguf", "x"), outcome, **(usual | other))


@pytest.fixture
def read(tmp_path):
    def result(*entries):
        path = tmp_path / "deep" / "junit.xml"
        write_junit(path, entries)
        assert [file.name for file in path.parent.iterdir()] == ["junit.xml"]
        return junitparser.JUnitXml.fromfile(str(path))

    return result


def test_each_outcome_is_the_element_that_ci_servers_know(read):
    report = read(*(entry(outcome.value, outcome) for outcome in Outcome))
    (suite,) = report
    cases = {case.name: case for case in suite}
    assert cases["Corroborated"].is_passed and cases["Corroborated"].result == []
    kinds = {name: type(case.result[0]).__name__ for name, case in cases.items() if case.result}
    assert kinds == {"Falsified": "Failure", "Crashed": "Error", "Timeout": "Error", "Skipped": "Skipped"}
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (5, 1, 2, 1)
    assert (report.tests, report.failures, report.errors) == (5, 1, 2)
    assert suite.time == pytest.approx(5 * 1.234) and suite.timestamp == "2026-01-02T03:04:05"


def test_a_failure_says_why_and_how_to_run_it_again(read):
    ((case,),) = read(entry(outcome=Outcome.FALSIFIED, output="S~S>G: different", stderr="warning: x"))
    (failure,) = case.result
    assert (failure.message, failure.type) == ("so it is", "Falsified")
    assert failure.text == "so it is\nrun it again: aprtui run p.yaml --gate F-CONV-S-G"
    assert case.system_out == "S~S>G: different" and case.system_err == "warning: x"
    assert (case.classname, case.time) == ("p", 1.234)
    properties = {one.name: one.value for one in next(case.iterchildren(junitparser.Properties))}
    assert properties["severity"] == "P0" and properties["levels"] == "structure, weights"
    assert properties["command"].endswith("--gate F-CONV-S-G")


def test_a_suite_for_each_playbook(read):
    report = read(entry("A", playbook="one"), entry("B", playbook="two"), entry("C", playbook="one"))
    assert {suite.name: [case.name for case in suite] for suite in report} == {"one": ["A", "C"], "two": ["B"]}
    properties = {one.name: one.value for one in next(iter(report)).properties()}
    assert properties["run"] == "20260102-030405-a1b2" and properties["playbook.digest"] == "xxh3:1"
    assert properties["model.how"] == "named" and "model.commit" not in properties


def test_an_entry_that_names_no_playbook(read):
    (suite,) = read(entry(details={}))
    assert suite.name == "a/b"


def test_no_entries(read):
    assert read().tests == 0


@given(st.text() | st.text(alphabet="\x00\x08\x0b\x1b\x85\ud800\ufffe\uffff<&>\"']]>\r\n\t\u202e"))
def test_every_text_is_xml(text):
    details = {"playbook": {"name": text, text: text}, "command": text, "levels": [text]}
    entries = [
        EvidenceEntry(text, Scenario(text, "gguf", "x"), outcome, text, text, 1, text, details=details)
        for outcome in Outcome
    ]
    raw = ElementTree.tostring(junit_tree(entries))
    cases = ElementTree.fromstring(raw).findall("./testsuite/testcase")
    assert len(cases) == 5 and len({case.get("name") for case in cases}) == 1


def test_control_characters_are_escapes(read):
    ((case,),) = read(entry("a\x1b[31m\x00", Outcome.FALSIFIED, reason="x\ud800\uffffy", output="one\ntwo\r\x07"))
    assert case.name == "a\\x1b[31m\\x00" and case.result[0].message == "x\\ud800\\uffffy"
    assert case.system_out == "one\ntwo\\r\\x07"


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(AprtuiError, match=r"the JUnit report cannot be written: .*name another directory"):
        write_junit(tmp_path / "file" / "junit.xml", [entry()])


def test_a_report_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "junit.xml"
    path.write_text("old")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("aprtui.report.junit.ElementTree.write", full)
    with pytest.raises(AprtuiError, match="No space left on device"):
        write_junit(path, [entry()])
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
