"""GGUF products in llama.cpp: every architecture loads, computes what transformers computes, and splits text alike."""

import json
import shutil

import numpy as np
import pytest
import torch
from llama_logits import last_logits
from llama_tokenizer import llama_ids
from test_convert_pairs import BARE, WITH_TOKENIZER
from test_convert_transformers import IDS, TEXTS, UNKNOWN_TO_TRANSFORMERS, loaded
from transformers import AutoTokenizer

from aprtui.convert.builtin import BuiltinConverter
from aprtui.formats.container import Format
from aprtui.formats.output_types import parse_output_type

S, G, A = Format.SAFETENSORS, Format.GGUF, Format.APR
# llama.cpp rounds activations to BF16 and keeps keys and values in F16.
ROUNDING = 0.05
# Facts that llama.cpp's code settles: the attention scale of gemma, whether the experts' weights are normalised.
OTHERWISE_IN_GGUF = {"gemma2", "gemma3-cut", "gemma3-f16", "qwen3_moe"}


@pytest.mark.parametrize("name", [*WITH_TOKENIZER, *BARE])
def test_llama_cpp_computes_the_same_logits(product, name):
    found = last_logits(product(name, G), IDS[0].tolist())
    assert np.isfinite(found).all()
    if name not in OTHERWISE_IN_GGUF | UNKNOWN_TO_TRANSFORMERS:
        with torch.no_grad():
            expected = loaded(product(name))(IDS).logits[0, -1].numpy()
        assert np.abs(found - expected).max() < ROUNDING
    if name != "gemma3-cut":  # Through APR the vocabulary is not cut.
        assert np.array_equal(found, last_logits(product(name, A, G), IDS[0].tolist()))


def test_a_wrong_fact_would_show(product, tmp_path):
    source = tmp_path / "hf"
    shutil.copytree(product("llama-tiny256"), source)
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    (source / "config.json").write_text(json.dumps(config | {"rope_theta": 100.0}), encoding="utf-8")
    wrong = BuiltinConverter().convert(source, G, tmp_path, parse_output_type("lossless"))
    right = last_logits(product("llama-tiny256", G), IDS[0].tolist())
    assert np.abs(right - last_logits(wrong, IDS[0].tolist())).max() > 2 * ROUNDING


@pytest.mark.parametrize("chain", [(G,), (A, G)])
@pytest.mark.parametrize("name", WITH_TOKENIZER)
def test_llama_cpp_gives_the_same_ids(product, name, chain):
    tokenizer = AutoTokenizer.from_pretrained(product(name), local_files_only=True)
    plain = [text for text in TEXTS if "<|" not in text]
    expected = [tokenizer(text)["input_ids"] for text in plain]
    assert llama_ids(product(name, *chain), plain, add_special=True) == expected
