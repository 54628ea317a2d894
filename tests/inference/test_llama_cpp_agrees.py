"""llama.cpp and the reference on the GGUFs that llama.cpp made: they differ by what llama.cpp's arithmetic rounds.

How much that is, is measured: the same file with its blocks decoded to float32 holds the same values, and there
llama.cpp rounds nothing. Both engines agree on it, so what is left between them on the file itself is rounding.
"""

import numpy as np
import pytest
import torch
from fixture_files import FIXTURES

from aprtui.convert.builtin.product import write_product
from aprtui.formats.container import Format
from aprtui.formats.model import open_model
from aprtui.formats.output_types import parse_output_type
from aprtui.inference.llama import llama_logits
from aprtui.inference.reference.checkpoint import checkpoint_of
from aprtui.inference.reference.model import ReferenceModel, Runtime

NAMES = ("qwen2-tiny", "llama-tiny256", "qwen3-tiny", "gemma3-tiny", "phi3-tiny", "gpt2-tiny")
KINDS = ("bf16", "Q8_0", "Q4_K_M")
FAST = {("qwen2-tiny", "Q4_K_M"), ("gpt2-tiny", "Q8_0"), ("phi3-tiny", "bf16")}
IDS = (torch.arange(0, 40) * 7 % 256)[None]


def reference_logits(path):
    model = ReferenceModel(checkpoint_of(open_model(path)), Runtime())
    return model.logits(model.hidden(IDS)[0]).numpy()


def written(source, folder, format_, kind):
    product = folder / f"{kind}.{format_.value}"
    write_product(open_model(source), format_, product, parse_output_type(kind))
    return product


def product_of(name, kind, folder):
    """llama.cpp's GGUF; the tiny phi3 under another name, because llama.cpp expects Phi-3's tokens of a Phi3."""
    path = FIXTURES / name / f"gguf/{kind}.gguf"
    if name != "phi3-tiny":
        return path
    raw = path.read_bytes()
    assert raw.count(b"Phi3 Tiny") == 1
    renamed = folder / path.name
    renamed.write_bytes(raw.replace(b"Phi3 Tiny", b"Some Tiny"))
    return renamed


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        pytest.param(name, kind, marks=() if (name, kind) in FAST else pytest.mark.slow)
        for name in NAMES
        for kind in KINDS
    ],
)
def test_only_llama_cpps_own_rounding_lies_between_them(name, kind, tmp_path):
    product = product_of(name, kind, tmp_path)
    decoded = written(product, tmp_path, Format.GGUF, "f32")
    ours = reference_logits(product)
    assert np.array_equal(reference_logits(decoded), ours)
    (exact,), (rounded,) = (llama_logits(path, IDS.tolist(), exact=True) for path in (decoded, product))
    ours = ours[:, : exact.shape[1]]
    # ggml takes GELU from a table of float16.
    tight = 3e-3 if name in ("gemma3-tiny", "gpt2-tiny") else 3e-5
    assert np.abs(exact - ours).max() < tight
    noise = np.abs(rounded - exact).max()
    assert 4 * tight < noise < 0.3
    assert np.abs(rounded - ours).max() < noise + tight
    assert np.square(rounded - ours).sum() / np.square(ours).sum() < 2e-3


@pytest.mark.parametrize("name", NAMES)
def test_blocks_that_an_apr_keeps_give_the_same_logits(name, tmp_path):
    product = FIXTURES / name / "gguf/Q4_K_M.gguf"
    kept = written(product, tmp_path, Format.APR, "lossless")
    types = {tensor.dtype for tensor in open_model(kept).tensors.values()}
    assert "Q4_K" in types or name != "llama-tiny256"
    assert np.array_equal(reference_logits(kept), reference_logits(product))
