"""Injection itself: the file says what the fault says, nothing else changes, a refusal leaves nothing behind."""

import json

import gguf
import numpy as np
import pytest
from fault_products import opened
from fixture_files import FIXTURES
from safetensors.torch import load_file

from aprtui.faults import FAULTS, NotApplicableError, inject, inject_several
from aprtui.formats.container import Format

QWEN = FIXTURES / "qwen2-tiny"
LLAMA = FIXTURES / "llama-tiny256"


def gguf_tensors(path):
    return {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}


def test_a_transposed_matrix_is_numpys_transpose(tmp_path):
    good = gguf_tensors(QWEN / "gguf" / "f32.gguf")
    damaged = gguf_tensors(inject(FAULTS["weights.transposed"], QWEN / "gguf" / "f32.gguf", tmp_path / "out").path)
    changed = [name for name in good if not np.array_equal(good[name].data, damaged[name].data)]
    assert len(changed) == 1
    before, after = good[changed[0]].data, damaged[changed[0]].data
    assert before.shape == after.shape
    assert np.array_equal(after.reshape(-1), before.T.reshape(-1))


def test_missing_rotary_rows_are_those_of_the_checkpoint(tmp_path):
    damaged = gguf_tensors(inject(FAULTS["weights.rotary_missing"], LLAMA / "gguf" / "f32.gguf", tmp_path / "out").path)
    checkpoint = load_file(LLAMA / "hf" / "model.safetensors")
    for projection in "qk":
        rows = checkpoint[f"model.layers.0.self_attn.{projection}_proj.weight"].float().numpy()
        assert np.array_equal(damaged[f"blk.0.attn_{projection}.weight"].data, rows)


def test_swapped_nibbles_are_swapped_in_the_file(tmp_path):
    path = LLAMA / "gguf" / "Q4_0.gguf"
    good, damaged = (
        gguf_tensors(path),
        gguf_tensors(inject(FAULTS["weights.nibbles_swapped"], path, tmp_path / "o").path),
    )
    before = good["blk.0.ffn_up.weight"].data.reshape(-1, 18)
    after = damaged["blk.0.ffn_up.weight"].data.reshape(-1, 18)
    assert np.array_equal(before[:, :2], after[:, :2])
    assert np.array_equal((before[:, 2:] << 4) | (before[:, 2:] >> 4), after[:, 2:])


def test_metadata_faults_leave_the_weights_alone(tmp_path):
    damaged = inject(FAULTS["metadata.rope_theta.changed"], QWEN / "hf", tmp_path / "out")
    good_config = json.loads((QWEN / "hf" / "config.json").read_text())
    config = json.loads((damaged.path / "config.json").read_text())
    assert {key for key in config if config[key] != good_config[key]} == {"rope_theta"}
    good = load_file(QWEN / "hf" / "model.safetensors")
    copy = load_file(damaged.path / "model.safetensors")
    assert good.keys() == copy.keys()
    assert all(good[name].equal(copy[name]) for name in good)


def test_a_stub_tokenizer_is_as_small_as_the_real_ones(tmp_path):
    damaged = inject(FAULTS["tokenizer.stub"], QWEN / "hf", tmp_path / "out")
    assert (damaged.path / "tokenizer.json").stat().st_size < 80


def test_seeds_choose_among_tensors(tmp_path):
    fault, path = FAULTS["weights.transposed"], QWEN / "gguf" / "bf16.gguf"
    subjects = {inject(fault, path, tmp_path / str(seed), seed=seed).subjects for seed in range(3)}
    assert len(subjects) == 3


def test_the_good_product_stays_as_it_is(tmp_path):
    path = QWEN / "gguf" / "bf16.gguf"
    before = path.read_bytes()
    for code in ("integrity.truncated", "weights.zeroed", "metadata.missing"):
        inject(FAULTS[code], path, tmp_path / code)
    assert path.read_bytes() == before


def test_float_faults_write_what_safetensors_reads(tmp_path):
    path = tmp_path / "out"
    inject(FAULTS["weights.int8_grid"], QWEN / "hf", path)
    values = load_file(path / "model.safetensors")["model.layers.0.mlp.up_proj.weight"].numpy()
    assert values.dtype == np.float32
    assert len(np.unique(values)) <= 255


@pytest.mark.parametrize(
    ("code", "path", "reason"),
    [
        ("weights.rotary_missing", QWEN / "hf", "does not exist in SafeTensors"),
        ("weights.rotary_missing", QWEN / "gguf" / "bf16.gguf", "in Hugging Face's order"),
        ("structure.head_missing", QWEN / "gguf" / "bf16.gguf", "tied to the embedding"),
        ("weights.nibbles_swapped", QWEN / "gguf" / "bf16.gguf", "no tensor of Q4_0"),
        ("metadata.head_dim.lost", LLAMA / "gguf" / "bf16.gguf", "changes nothing"),
        ("metadata.rope_scaling.changed", QWEN / "hf", "does not state rope_scaling"),
        ("weights.truncated_cast", QWEN / "gguf" / "f32.gguf", "no tensor made of values that BF16 rounds"),
        ("weights.transposed", LLAMA / "gguf" / "IQ4_NL.gguf", "cannot be encoded as IQ4_NL"),
    ],
)
def test_a_fault_refuses_where_it_would_change_nothing(code, path, reason, tmp_path):
    with pytest.raises(NotApplicableError, match=reason):
        inject(FAULTS[code], path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_fault_that_changes_nothing_cannot_hide_behind_another_one(tmp_path):
    """The format assumes what the lost key says; the other key of the same level differs all the same."""
    faults = [FAULTS["metadata.rope_theta.changed"], FAULTS["metadata.head_dim.lost"]]
    with pytest.raises(NotApplicableError, match=r"head_dim\.lost changes nothing"):
        inject_several(faults, LLAMA / "gguf" / "bf16.gguf", tmp_path / "out", seeds=(0, 0))
    assert not (tmp_path / "out").exists()


def test_each_of_several_faults_says_what_it_damaged(tmp_path):
    faults = [FAULTS["metadata.rope_theta.changed"], FAULTS["weights.negated"]]
    damaged = inject_several(faults, QWEN / "gguf" / "bf16.gguf", tmp_path / "out", seeds=(0, 0))
    assert damaged.by_fault[0] == {"rope_theta"}
    assert len(damaged.by_fault[1]) == 1
    assert damaged.subjects == damaged.by_fault[0] | damaged.by_fault[1]


def test_a_damaged_product_keeps_its_format(tmp_path):
    damaged = inject(FAULTS["weights.negated"], FIXTURES / "apr/0.72.3/qwen2-tiny/s-import.apr", tmp_path / "out")
    assert opened(damaged.path).format is Format.APR
