"""What real versions of apr write: every file is diagnosed as its list says, several causes in one run."""

import json

import pytest
from fixture_files import FIXTURES

from aprtui.compare.comparison import Scope, compare_models
from aprtui.core.outcomes import Level
from aprtui.diagnose import diagnose
from aprtui.formats.model import open_model
from aprtui.formats.output_types import parse_output_type

APR = FIXTURES / "apr"
EXPECTED = {entry["file"]: entry for entry in json.loads((APR / "expected.json").read_text(encoding="utf-8"))}

STORIES = {
    "0.72.3/llama-tiny256/sg.gguf": {
        "structure.type_not_asked_for",
        "metadata.file_type",
        "weights.rotary_missing",
        "tokenizer.special_tokens_lost",
        "tokenizer.pre_tokenizer_wrong",
        "tokenizer.bos_or_eos_added",
    },
    "0.72.3/llama-tiny256/gs-bf16": {
        "weights.rotary_extra",
        "metadata.constant_config",
        "metadata.changed",
        "tokenizer.missing",
    },
    "0.72.3/llama-tiny256/as": {"structure.head_missing", "metadata.constant_config", "tokenizer.missing"},
    "0.72.3/qwen2-tiny/s-import-q4k-export": {
        "weights.padded_rows_read_flat",
        "metadata.constant_config",
        "tokenizer.missing",
    },
    "0.72.3/qwen2-tiny/sg.gguf": {"integrity.shared_offset", "tokenizer.special_tokens_lost"},
    "0.72.3/qwen2-mixed-tiny/s-import-q4k-export.gguf": {
        "integrity.broken_rows",
        "metadata.file_type",
        "tokenizer.special_tokens_lost",
    },
    "0.2.11/qwen2-tiny/s-import-fp16.apr": {
        "weights.small_values_flushed",
        "metadata.guessed",
        "metadata.lost",
        "metadata.rope_type",
        "tokenizer.missing",
    },
    "0.2.11/qwen2-tiny/s-convert-int8.apr": {
        "weights.grid",
        "structure.widened",
        "metadata.missing",
        "tokenizer.missing",
    },
}
"""All causes of some files, by code."""


def diagnosed(name):
    entry = EXPECTED[name]
    source, target = open_model((APR / entry["reference"]).resolve()), open_model(APR / name)
    scope = Scope(asked_for=parse_output_type(entry["outtype"]))
    comparison = compare_models(source, target, scope)
    return entry, comparison, diagnose(source, target, comparison, scope).diagnosis


@pytest.mark.parametrize("name", EXPECTED)
def test_every_fault_of_the_list_has_a_cause_and_nothing_is_left(name):
    entry, comparison, diagnosis = diagnosed(name)
    assert diagnosis.unexplained == ()
    assert bool(diagnosis.causes) == any(level.failures for level in comparison.levels)
    for level, subjects in entry["fails"].items():
        members = {
            member
            for named in diagnosis.causes
            for member in named.members
            if named.code.startswith(f"{level}.") or named.code in ("weights.label", "integrity.broken_rows")
        }
        assert set(subjects) <= members, level
    blamed = {named.cause.level for named in diagnosis.causes}
    assert not blamed & {Level(level) for level in entry["passes"]}


@pytest.mark.parametrize("name", STORIES)
def test_the_causes_of_one_file_are_exactly_these(name):
    _, _, diagnosis = diagnosed(name)
    assert {named.code for named in diagnosis.causes} == STORIES[name]


def test_gemma_peels_a_second_layer():
    """A pattern of layers only counts once there is a window."""
    _, _, diagnosis = diagnosed("0.72.3/gemma3-tiny/sg.gguf")
    layers = {member: named.layer for named in diagnosis.causes for member in named.members}
    assert layers["sliding_window"] == 1
    assert layers["layer_types"] == 2
    assert "weights.norm_plus_one_missing" in {named.code for named in diagnosis.causes}
    assert "metadata.architecture" in {named.code for named in diagnosis.causes}


def test_the_three_questions_are_answered():
    _, _, diagnosis = diagnosed("0.72.3/llama-tiny256/sg.gguf")
    answers = {asked.question.value: (asked.answer.value, asked.count) for asked in diagnosis.questions}
    assert answers == {"transposed": ("yes", 4), "quantisation": ("yes", 14), "tokenizer": ("yes", 3)}
    rotary = next(named for named in diagnosis.causes if named.code == "weights.rotary_missing")
    assert rotary.where == "all 2 k_proj, all 2 q_proj"
    assert rotary.before > 1
    assert rotary.after < 0.01
