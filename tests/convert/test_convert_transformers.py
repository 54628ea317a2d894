"""SafeTensors products in transformers: the same tensors, the same logits bit for bit, the same token ids."""

import pytest
import torch
import transformers
from test_convert_pairs import BARE, WITH_TOKENIZER
from transformers import AutoModelForCausalLM, AutoTokenizer

from aprtui.formats.container import Format

S, G, A = Format.SAFETENSORS, Format.GGUF, Format.APR
IDS = torch.tensor([[1, 5, 9, 2, 30, 31, 7, 3]])
TEXTS = (
    "Hello, world!  It's 2024 — naïve café\n\n\t x=1;",
    "<|im_start|>user\nhi<|im_end|><|eot_id|>",
    "日本語 🙂 I'LL'VE 12345 ",
    "",
    "\r\n\r\n  end",
)
# Norms minus one are rounded; embedding cut; and two facts that llama.cpp's code settles.
CHANGED_BY_GGUF = {"gemma", "gemma2", "gemma3-cut", "gemma3-f16", "qwen3_moe"}
# transformers has no class of this name.
UNKNOWN_TO_TRANSFORMERS = {"internlm2"}


@pytest.fixture(autouse=True)
def _quiet():
    transformers.utils.logging.disable_progress_bar()


def loaded(path):
    model, info = AutoModelForCausalLM.from_pretrained(
        path, local_files_only=True, dtype=torch.float32, output_loading_info=True
    )
    assert not info["missing_keys"] and not info["unexpected_keys"], info
    return model.eval()


HELD = [
    (name, between)
    for name in (*WITH_TOKENIZER, *BARE)
    for between in (G, A)
    if name not in UNKNOWN_TO_TRANSFORMERS and not (between is G and name in CHANGED_BY_GGUF)
]


@pytest.mark.parametrize(("name", "between"), HELD)
def test_transformers_computes_the_same_logits(product, name, between):
    original, found = loaded(product(name)), loaded(product(name, between, S))
    expected = original.state_dict()
    assert expected.keys() == found.state_dict().keys()
    assert all(torch.equal(tensor, found.state_dict()[key]) for key, tensor in expected.items())
    with torch.no_grad():
        assert torch.equal(original(IDS).logits, found(IDS).logits)


@pytest.mark.parametrize("between", [G, A])
@pytest.mark.parametrize("name", WITH_TOKENIZER)
def test_transformers_gives_the_same_ids(product, name, between):
    original, found = (
        AutoTokenizer.from_pretrained(path, local_files_only=True)
        for path in (product(name), product(name, between, S))
    )
    for text in TEXTS:
        ids = original(text)["input_ids"]
        assert found(text)["input_ids"] == ids
        assert found.decode(ids, skip_special_tokens=True) == original.decode(ids, skip_special_tokens=True)
    assert found.chat_template == original.chat_template
    assert found.eos_token == original.eos_token
