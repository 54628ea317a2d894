import json

import pytest

from aprtui.cli import demo, main
from aprtui.faults import FAULTS


def run_demo(capsys, tmp_path) -> tuple[int, str]:
    with pytest.raises(SystemExit) as stopped:
        main(["demo", "--headless", "--output-dir", str(tmp_path)])
    return int(stopped.value.code or 0), capsys.readouterr().out


def test_good_conversions_pass_and_broken_ones_are_found(capsys, tmp_path):
    code, out = run_demo(capsys, tmp_path)
    assert code == 0
    assert out.count("pass  ") == 38
    for broken in demo.BROKEN_BY:
        assert broken in out
    assert "NOT EQUIVALENT (weights)" in out
    assert "Q4_K was not asked for" in out
    entries = json.loads((tmp_path / "demo/evidence.json").read_text())
    assert [entry["outcome"] for entry in entries] == ["Corroborated"] * 38


def test_evidence_that_cannot_be_written_is_one_line(capsys, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as stopped:
        main(["demo", "--headless", "--output-dir", str(tmp_path / "file")])
    assert stopped.value.code == 3
    captured = capsys.readouterr()
    assert captured.err.splitlines()[-1].endswith("Not a directory; name another directory with --output-dir")
    assert "Traceback" not in captured.err


def test_a_fault_that_is_not_found_fails_the_demo(capsys, tmp_path, monkeypatch):
    # Types are judged only where an output type was asked for: values that are only wider are found good.
    harmless = FAULTS["structure.widened_to_f32"]
    monkeypatch.setattr(demo, "BROKEN_BY", (harmless.code,))
    monkeypatch.setattr(demo, "parse_output_type", lambda _text: None)
    monkeypatch.setattr(demo.BuiltinConverter, "convert", _convert_losslessly(demo.BuiltinConverter.convert))
    code, out = run_demo(capsys, tmp_path)
    assert code == 1
    assert "broken ones are found: 0 of 1" in out


def _convert_losslessly(convert):
    from aprtui.formats.output_types import parse_output_type

    return lambda self, source, target, destination, _asked: convert(
        self, source, target, destination, parse_output_type("lossless")
    )
