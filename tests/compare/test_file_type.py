from dataclasses import replace

import pytest
from fixture_files import FIXTURES
from model_files import with_metadata

from aprtui.compare.file_type import with_file_type
from aprtui.core.dtypes import Family
from aprtui.core.findings import LevelResult
from aprtui.core.outcomes import Level, Outcome
from aprtui.formats.model import open_model

GGUF = FIXTURES / "llama-tiny256/gguf"
GOOD = LevelResult(Level.METADATA, Outcome.CORROBORATED, checked=1)


def judged(file, stated, plain_matrices=0):
    """The level of a GGUF that states a type, with as many of its matrices in plain numbers."""
    model = open_model(GGUF / file)
    plain = next(each.dtype for each in model.tensors.values() if each.dtype.info.family is not Family.BLOCK)
    tensors = dict(model.tensors)
    for name in [name for name, each in tensors.items() if len(each.shape) > 1][:plain_matrices]:
        tensors[name] = replace(tensors[name], dtype=plain)
    container = with_metadata(model.container, general__file_type=stated)
    return with_file_type(GOOD, replace(model, container=container, tensors=tensors))


@pytest.mark.parametrize("stated", [0, 1, 32])
def test_a_plain_type_of_a_file_in_blocks_fails(stated):
    result = judged("Q4_0.gguf", stated)
    assert result.outcome is Outcome.FALSIFIED
    assert [finding.subject for finding in result.failures] == ["general.file_type"]
    assert "matrices in Q4_0" in result.failures[0].expected


def test_all_allows_no_block_and_most_allows_some():
    matrices = sum(len(each.shape) > 1 for each in open_model(GGUF / "Q4_0.gguf").tensors.values())
    assert judged("Q4_0.gguf", 0, matrices - 1).outcome is Outcome.FALSIFIED
    assert judged("Q4_0.gguf", 1, matrices - 1).outcome is Outcome.CORROBORATED
    assert judged("Q4_0.gguf", 1, 1).outcome is Outcome.FALSIFIED


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*/gguf/*.gguf")), ids=lambda path: path.stem)
def test_what_llama_cpp_wrote_passes(path):
    assert with_file_type(GOOD, open_model(path)) == GOOD


@pytest.mark.parametrize("stated", [2, 1024, None])
def test_what_promises_no_plain_numbers_is_left_alone(stated):
    assert judged("Q4_0.gguf", stated) == GOOD
