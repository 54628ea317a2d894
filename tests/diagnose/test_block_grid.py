"""Floats that were 4-bit blocks once, whoever encoded them; and floats that never were."""

import gguf
import numpy as np
import pytest
from fixture_files import FIXTURES

from aprtui.compare.comparison import Scope, compare_models
from aprtui.core.dtypes import DType
from aprtui.diagnose import diagnose
from aprtui.diagnose.block_grid import lies_on_block_grid
from aprtui.diagnose.through import through
from aprtui.faults.draft import draft_of
from aprtui.faults.writing import write_draft
from aprtui.formats.model import open_model
from aprtui.formats.views.edited import ValuesEdited

VALUES = np.random.default_rng(3).standard_normal((16, 512), np.float32) * np.float32(0.02)


@pytest.mark.parametrize("dtype", [DType.Q4_0, DType.Q4_1, DType.Q4_K, DType.APR_Q4])
def test_decoded_blocks_lie_on_their_grid(dtype):
    assert lies_on_block_grid(VALUES, through(VALUES, dtype)).all()


@pytest.mark.parametrize("kind", [gguf.GGMLQuantizationType.Q4_0, gguf.GGMLQuantizationType.Q4_1])
def test_another_encoder_makes_no_difference(kind):
    """Scales that are a little larger choose other codes."""
    decoded = gguf.quants.dequantize(gguf.quants.quantize(VALUES * np.float32(1.03), kind), kind)
    assert not np.array_equal(decoded, through(VALUES, DType.Q4_0))
    assert lies_on_block_grid(VALUES, decoded).all()


def test_what_was_no_block_lies_on_no_grid():
    noise = np.random.default_rng(4).standard_normal(VALUES.shape, np.float32) * np.float32(1e-3)
    assert not lies_on_block_grid(VALUES, VALUES + noise).any()
    assert not lies_on_block_grid(VALUES[:, :48], VALUES[:, :48]).any()


def test_blocks_of_other_values_are_not_the_sources():
    assert lies_on_block_grid(VALUES, through(VALUES[::-1].copy(), DType.Q4_0)).mean() < 0.5


def test_an_infinite_value_is_on_no_grid():
    target = through(VALUES, DType.Q4_0).copy()
    target[3, 40], target[5, 7] = np.inf, np.nan
    inside = lies_on_block_grid(VALUES, target)
    assert not inside[3, 32:64].any() and not inside[5, :32].any()
    assert inside.sum() == inside.size - 2 * 32


def test_norms_of_few_levels_are_not_called_quantised(tmp_path):
    """BF16 near one has steps of 1/128: another model's norm within one of them lies on that grid by itself."""
    source = open_model(FIXTURES / "llama-tiny256/hf")
    draft, random = draft_of(source), np.random.default_rng(0)
    tensor = next(item for item in draft.tensors if item.canonical == "model.norm.weight")
    ones = 1 + random.integers(-6, 6, 256) / 128
    draft.put(tensor, ValuesEdited(tensor.view, lambda values, _: ones.astype(np.float32).reshape(values.shape)))
    (tmp_path / "a").mkdir()
    before = open_model(write_draft(draft, tmp_path / "a"))
    others = ones + random.choice([-1, 1], 256) / 128
    draft.put(tensor, ValuesEdited(tensor.view, lambda values, _: others.astype(np.float32).reshape(values.shape)))
    (tmp_path / "b").mkdir()
    after = open_model(write_draft(draft, tmp_path / "b"))
    diagnosis = diagnose(before, after, compare_models(before, after, Scope()), Scope()).diagnosis
    assert not {named.code for named in diagnosis.causes} & {"weights.quantised_in_passing", "weights.grid"}


@pytest.mark.parametrize("model", ["qwen2-tiny", "qwen2-mixed-tiny"])
def test_an_export_is_explained_from_the_checkpoint_itself(model):
    """apr quantised with an encoder of its own, read padded rows flat, and wrote floats."""
    source = open_model(FIXTURES / model / "hf")
    target = open_model(FIXTURES / "apr/0.72.3" / model / "s-import-q4k-export")
    scope = Scope()
    diagnosis = diagnose(source, target, compare_models(source, target, scope), scope).diagnosis
    members = {named.code: named.members for named in diagnosis.causes if named.code.startswith("weights.")}
    assert diagnosis.is_complete
    assert members.keys() == {"weights.grid", "weights.padded_rows_read_flat"}
    flat = {name for name in members["weights.grid"] if target.tensors[name].shape[-1] % 256}
    assert set(members["weights.padded_rows_read_flat"]) == flat
