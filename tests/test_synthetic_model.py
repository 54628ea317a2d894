"""The model that benchmarks run on has the shapes of the real one and the values it promises."""

import json

import numpy as np
import pytest
import torch
from make_synthetic_model import GEOMETRIES, Geometry, config, make, shapes, to_bfloat16
from safetensors.torch import load_file
from synthetic_tokenizer import write_tokenizer
from tokenizers import Tokenizer
from transformers import Qwen2Config, Qwen2ForCausalLM

SMALL = Geometry(hidden=64, intermediate=128, layers=1, heads=2, key_value_heads=1, parameters=9_761_088, tensors=14)


@pytest.mark.parametrize("size", GEOMETRIES)
def test_shapes_are_those_of_transformers(size):
    with torch.device("meta"):
        model = Qwen2ForCausalLM(Qwen2Config(**config(GEOMETRIES[size])))
    stored = {name: tuple(value.shape) for name, value in model.state_dict().items() if name != "lm_head.weight"}
    assert shapes(GEOMETRIES[size]) == stored


def test_rounding_is_torchs():
    values = np.random.default_rng(1).standard_normal(1 << 16, dtype=np.float32)
    assert np.array_equal(to_bfloat16(values), torch.from_numpy(values).bfloat16().view(torch.uint16).numpy())


def test_the_files_hold_what_they_promise(tmp_path):
    make(tmp_path / "a", SMALL, seed=3)
    make(tmp_path / "b", SMALL, seed=3)
    tensors = load_file(tmp_path / "a" / "model.safetensors")
    assert {name: tuple(value.shape) for name, value in tensors.items()} == shapes(SMALL)
    assert json.loads((tmp_path / "a" / "config.json").read_text())["hidden_size"] == SMALL.hidden
    assert tensors["model.embed_tokens.weight"].float().std().item() == pytest.approx(0.02, rel=0.01)
    assert tensors["model.norm.weight"].float().mean().item() == pytest.approx(1.0, abs=0.05)
    same = [(tmp_path / name / "model.safetensors").read_bytes() for name in "ab"]
    assert same[0] == same[1]


def test_the_tokenizer_has_the_size_and_ids_of_the_real_one(tmp_path):
    write_tokenizer(tmp_path)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert tokenizer.get_vocab_size() == 151_665 and tokenizer.token_to_id("<|im_end|>") == 151_645
    encoded = tokenizer.encode("abcd def <|im_start|>")
    assert encoded.tokens == ["ab", "cd", "Ġ", "def", "Ġ", "<|im_start|>"] and encoded.ids[-1] == 151_644
    assert tokenizer.decode(tokenizer.encode("Grüße, 世界! 1+1").ids) == "Grüße, 世界! 1+1"


def test_counts_that_do_not_add_up_are_refused(tmp_path):
    wrong = Geometry(hidden=64, intermediate=128, layers=1, heads=2, key_value_heads=1, parameters=1, tensors=14)
    with pytest.raises(SystemExit, match="add up"):
        make(tmp_path, wrong, seed=0)
