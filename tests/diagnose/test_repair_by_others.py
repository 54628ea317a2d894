"""Repaired files of apr in the hands of others: llama.cpp, the gguf package and transformers read what they should."""

import gguf
import numpy as np
import pytest
import torch
from fixture_files import FIXTURES
from llama_logits import last_logits
from transformers import AutoModelForCausalLM, AutoTokenizer

from aprtui.cli.main import main

APR = FIXTURES / "apr/0.72.3"
LLAMA, QWEN = FIXTURES / "llama-tiny256", FIXTURES / "qwen2-tiny"
IDS = (3, 141, 59, 26, 5, 35, 89, 79)


def repair(source, broken, fixed, *arguments):
    with pytest.raises(SystemExit) as left:
        main(["repair", str(source), str(broken), "-o", str(fixed), *arguments])
    assert left.value.code == 0
    return fixed


def tensors(path):
    return {tensor.name: np.asarray(tensor.data) for tensor in gguf.GGUFReader(path).tensors}


def test_a_repaired_gguf_is_llama_cpps_own(tmp_path):
    """apr 0.72.3 never rearranges q and k rows of a llama, and calls its pre-tokenizer default."""
    broken, own = APR / "llama-tiny256/s-import-export.gguf", LLAMA / "gguf/f32.gguf"
    fixed = repair(LLAMA / "hf", broken, tmp_path / "fixed.gguf")
    assert not np.allclose(last_logits(broken, IDS), last_logits(own, IDS), atol=1e-2)
    assert np.array_equal(last_logits(fixed, IDS), last_logits(own, IDS))
    wanted, found = tensors(own), tensors(fixed)
    assert found.keys() == wanted.keys()
    assert all(np.array_equal(found[name], wanted[name]) for name in wanted)
    assert gguf.GGUFReader(fixed).get_field("tokenizer.ggml.pre").contents() == "llama-bpe"


def test_llama_cpp_opens_what_it_refused(tmp_path):
    """The placeholder of a tied head lies at the offset of another tensor."""
    broken = APR / "qwen2-tiny/sg.gguf"
    with pytest.raises(AssertionError, match="offset"):
        last_logits(broken, IDS)
    fixed = repair(QWEN / "hf", broken, tmp_path / "fixed.gguf")
    assert np.allclose(last_logits(fixed, IDS), last_logits(QWEN / "gguf/f32.gguf", IDS), atol=1e-5)


def test_transformers_runs_a_repaired_export_like_its_source(tmp_path):
    """apr 0.72.3 drops the head, writes a constant config.json and no tokenizer."""
    broken = APR / "llama-tiny256/as"
    fixed = repair(LLAMA / "hf", broken, tmp_path / "fixed")
    assert not torch.allclose(logits(broken), logits(LLAMA / "hf"), atol=1e-2)
    assert torch.equal(logits(fixed), logits(LLAMA / "hf"))
    ids = [AutoTokenizer.from_pretrained(path)("The capital of France")["input_ids"] for path in (LLAMA / "hf", fixed)]
    assert ids[0] == ids[1]


def logits(path):
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    with torch.no_grad():
        return model(torch.tensor([IDS])).logits
