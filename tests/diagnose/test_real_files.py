"""What real versions of apr write: every file is diagnosed as its list says, several causes in one run."""

import json
from collections import defaultdict

import pytest
from fixture_files import FIXTURES
from real_files import CAUSES_OF

from aprtui.compare.comparison import Scope, compare_models
from aprtui.convert.errors import ConversionNotOfferedError
from aprtui.core.outcomes import Level, Outcome
from aprtui.diagnose import diagnose, write_repaired
from aprtui.formats.container import Format
from aprtui.formats.model import open_model
from aprtui.formats.output_types import parse_output_type

APR = FIXTURES / "apr"
EXPECTED = {entry["file"]: entry for entry in json.loads((APR / "expected.json").read_text(encoding="utf-8"))}
EXACT = ("integrity", "structure", "weights")
NAMES = {Format.GGUF: "fixed.gguf", Format.APR: "fixed.apr", Format.SAFETENSORS: "fixed"}


def opened(name):
    entry = EXPECTED[name]
    scope = Scope(asked_for=parse_output_type(entry["outtype"]))
    return open_model((APR / entry["reference"]).resolve()), open_model(APR / name), scope


def diagnosed(name):
    source, target, scope = opened(name)
    comparison = compare_models(source, target, scope)
    return comparison, diagnose(source, target, comparison, scope).diagnosis


def test_no_file_is_left_out():
    assert len(EXPECTED) == 52
    assert CAUSES_OF.keys() == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_a_file_has_the_causes_of_its_list_and_nothing_is_left(name):
    entry = EXPECTED[name]
    comparison, diagnosis = diagnosed(name)
    assert diagnosis.unexplained == ()
    assert {named.code for named in diagnosis.causes} == CAUSES_OF[name]
    assert bool(diagnosis.causes) == any(level.failures for level in comparison.levels)
    members = defaultdict(set)
    for named in diagnosis.causes:
        members[named.cause.level.value].update(named.members)
    for level, subjects in entry["fails"].items():
        # The list is complete at these levels, and names the least that must be there at the others.
        right = set(subjects) == members[level] if level in EXACT else set(subjects) <= members[level]
        assert right, (level, members[level])
    assert not set(entry["passes"]) & set(members)


CANNOT_BE = (
    "0.72.3/qwen2-tiny/s-import-q4k-export.gguf",
    "0.72.3/qwen2-mixed-tiny/s-import-q4k-export.gguf",
    "0.2.11/qwen2-tiny/s-convert-int8.apr",
)
"""K-quants of rows that do not fill their blocks in a GGUF, apr's 8-bit type in SafeTensors."""

MENDED = [name for name, codes in CAUSES_OF.items() if codes]


@pytest.mark.slow
@pytest.mark.parametrize("name", MENDED)
def test_the_repaired_file_passes_or_the_rest_was_said(name, tmp_path):
    """On disk: every level passes that no lasting cause was named at."""
    source, target, scope = opened(name)
    comparison = compare_models(source, target, scope)
    explained = diagnose(source, target, comparison, scope)
    path = tmp_path / NAMES[target.format]
    causes = [named.cause for named in explained.diagnosis.causes]
    lasting = {cause.level for cause in causes if not cause.repair.can_be_written}
    try:
        repaired = write_repaired(source, target, explained, path, asked_for=scope.asked_for)
    except ConversionNotOfferedError as error:
        # What was asked for, and what these files only look like, does not exist in their format.
        assert name in CANNOT_BE and lasting and "cannot store" in str(error)
        return
    again = compare_models(source, open_model(path), scope)
    failing = {level.level for level in again.levels if level.outcome is Outcome.FALSIFIED}
    assert failing <= lasting | ({Level.TOKENIZER} if repaired.lacks else set())
    assert (not failing) == ("passes" in explained.diagnosis.sentence)


def test_gemma_peels_a_second_layer():
    """A pattern of layers only counts once there is a window."""
    _, diagnosis = diagnosed("0.72.3/gemma3-tiny/sg.gguf")
    layers = {member: named.layer for named in diagnosis.causes for member in named.members}
    assert layers["sliding_window"] == 1
    assert layers["layer_types"] == 2


def test_the_three_questions_are_answered():
    _, diagnosis = diagnosed("0.72.3/llama-tiny256/sg.gguf")
    answers = {asked.question.value: (asked.answer.value, asked.count) for asked in diagnosis.questions}
    assert answers == {"transposed": ("yes", 4), "quantisation": ("yes", 14), "tokenizer": ("yes", 3)}
    rotary = next(named for named in diagnosis.causes if named.code == "weights.rotary_missing")
    assert rotary.where == "all 2 k_proj, all 2 q_proj"
    assert rotary.before > 1
    assert rotary.after < 0.01
