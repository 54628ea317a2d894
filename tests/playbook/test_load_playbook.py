from pathlib import Path

import pytest

from aprtui.core.errors import UsageError
from aprtui.core.gates import FormatLetter
from aprtui.playbook import load_playbook

DEMO = Path(__file__).parents[2] / "playbooks" / "demo.playbook.yaml"

GOOD = """\
name: tiny
version: 1.0
model:
  hf_repo: org/name
  formats: [safetensors, gguf]
test_matrix:
  seed: "7"
  unknown: [1, 2]
failure_policy: stop_on_first
extra:
  inner: 1
"""


def load(tmp_path: Path, text: str):
    path = tmp_path / "a.playbook.yaml"
    path.write_text(text)
    return load_playbook(path)


def test_the_demo_playbook_loads():
    playbook = load_playbook(DEMO)
    assert playbook.name == "demo"
    assert set(playbook.model.formats) == set(FormatLetter)
    assert playbook.model.local_path.resolve() == DEMO.parents[1] / "aprtui/demo/model/qwen2-demo"


def test_numbers_as_text_are_read_and_keys_that_nothing_reads_are_named_with_their_line(tmp_path):
    playbook = load(tmp_path, GOOD)
    assert playbook.seed == 7
    assert playbook.model.formats == (FormatLetter.SAFETENSORS, FormatLetter.GGUF)
    unread = {complaint.key: complaint.line for complaint in playbook.complaints if not complaint.message}
    assert unread == {"test_matrix.unknown": 8, "extra": 10}


def test_a_stop_policy_is_overruled_with_a_notice(tmp_path):
    (notice,) = [complaint for complaint in load(tmp_path, GOOD).complaints if complaint.message]
    assert (notice.line, notice.key) == (9, "failure_policy")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [", r"line 1.*not valid YAML"),
        ("- a\n", "a playbook is a mapping"),
        ("name: a\n", r"names no model; add model\.hf_repo"),
        ("name: a\nmodel:\n  hf_repo: 3\n  formats: [onnx]\n", r"line 4, model\.formats: unknown format 'onnx'"),
        ("name: a\nmodel:\n  hf_repo: [1]\n", r"line 3, model\.hf_repo: text expected, found a list"),
        ("name: &x a\nmodel: {hf_repo: *x}\n", "anchors and aliases"),
        ("name: a\nmodel: {hf_repo: b/c}\ntest_matrix: {seed: many}\n", "whole number expected, found 'many'"),
        ("x: " + "[" * 60 + "]" * 60, "nested too deeply"),
        ("!!python/object/apply:os.system ['true']", "a playbook is a mapping"),
    ],
)
def test_bad_input_is_one_clear_error(tmp_path, text, message):
    with pytest.raises(UsageError, match=message):
        load(tmp_path, text)


def test_a_missing_file_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        load_playbook(tmp_path / "none.yaml")
