"""The reference forward pass against transformers' own loading, and against llama.cpp on the same file."""

import shutil

import numpy as np
import pytest
import torch
from fixture_files import DATA, FIXTURES
from hf_edits import edited
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from aprtui.convert.builtin.product import write_product
from aprtui.formats.container import Format
from aprtui.formats.model import open_model
from aprtui.formats.output_types import parse_output_type
from aprtui.inference.errors import NotAModelError
from aprtui.inference.llama import llama_logits
from aprtui.inference.llama.library import LlamaModel
from aprtui.inference.reference.checkpoint import checkpoint_of
from aprtui.inference.reference.model import ReferenceModel, Runtime

NAMES = ("qwen2-tiny", "llama-tiny256", "qwen3-tiny", "gemma3-tiny", "phi3-tiny", "gpt2-tiny")
ARCHITECTURES = DATA / "architectures"
IDS = torch.arange(0, 60).reshape(2, 30) * 7 % 256


def reference(path):
    return ReferenceModel(checkpoint_of(open_model(path)), Runtime())


def logits(path, ids=IDS):
    model = reference(path)
    hidden = model.hidden(ids)
    return model.logits(hidden.reshape(-1, hidden.shape[-1]))


def transformers_logits(path, ids=IDS):
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    with torch.inference_mode():
        return model(input_ids=ids, use_cache=False).logits.reshape(ids.numel(), -1)


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """Products of the built-in converter, made once: f32 as GGUF, lossless as APR and as SafeTensors again."""
    made = {}

    def product(name, kind):
        if (name, kind) not in made:
            format_, asked, suffix = {
                "gguf": (Format.GGUF, "f32", "model.gguf"),
                "apr": (Format.APR, "lossless", "model.apr"),
                "safetensors": (Format.SAFETENSORS, "lossless", "model"),
            }[kind]
            path = tmp_path_factory.mktemp(f"{name}-{kind}") / suffix
            write_product(open_model(FIXTURES / name / "hf"), format_, path, parse_output_type(asked))
            made[name, kind] = path
        return made[name, kind]

    return product


@pytest.mark.parametrize("name", NAMES)
def test_bit_exact_files_of_every_format_give_transformers_logits_bit_for_bit(name, converted):
    expected = transformers_logits(FIXTURES / name / "hf")
    paths = [FIXTURES / name / "hf", FIXTURES / name / "gguf/bf16.gguf"]
    paths += [converted(name, kind) for kind in ("gguf", "apr", "safetensors")]
    for path in paths:
        assert torch.equal(logits(path), expected), path


@pytest.mark.parametrize("name", NAMES)
def test_llama_cpp_gives_the_same_logits_within_rounding(name, converted):
    path = converted(name, "gguf")
    ids = IDS[0].tolist()
    ours = logits(path, IDS[:1])
    (theirs,) = llama_logits(path, [ids], exact=True)
    (as_users_run_it,) = llama_logits(path, [ids], exact=False)
    width = min(theirs.shape[1], ours.shape[1])
    tight = np.abs(theirs[:, :width] - ours[:, :width].numpy()).max()
    loose = np.abs(as_users_run_it[:, :width] - ours[:, :width].numpy()).max()
    # ggml takes GELU from a table of float16.
    assert tight < (3e-3 if name in ("gemma3-tiny", "gpt2-tiny") else 3e-5)
    assert loose < 2e-2


@pytest.mark.parametrize("name", ["qwen2-tiny", "llama-tiny256", "gpt2-tiny"])
def test_generated_tokens_are_llama_cpps(name, converted):
    path = converted(name, "gguf")
    model = reference(path)
    with model.kept():
        ours = model.generate([1, 2, 3, 4], 8, frozenset())
    theirs = LlamaModel(str(path)).generate([1, 2, 3, 4], 8, exact=True)
    assert [number for number, _ in ours] == [number for number, _, _ in theirs]
    assert [margin for _, margin in ours] == pytest.approx([margin for _, margin, _ in theirs], abs=3e-3)


@pytest.mark.parametrize(
    "name", ["mixtral", "qwen2_moe", "stablelm", "olmo2", "falcon-new", "phi3-longrope", "granite"]
)
def test_other_architectures(name):
    ids = IDS[:, :10] % 32
    expected = transformers_logits(ARCHITECTURES / name / "hf", ids)
    assert torch.equal(logits(ARCHITECTURES / name / "hf", ids), expected)
    assert torch.equal(logits(ARCHITECTURES / name / "gguf/bf16.gguf", ids), expected)


def test_a_head_that_is_stored_beside_a_tied_embedding_is_used_as_transformers_uses_it(tmp_path):
    """It ties nothing that is stored with different values, whatever the configuration says."""
    folder = shutil.copytree(FIXTURES / "qwen2-tiny/hf", tmp_path / "hf", copy_function=shutil.copyfile)
    tensors = load_file(folder / "model.safetensors")
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"] * 1.5
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    assert torch.equal(logits(folder), transformers_logits(folder))
    assert not torch.equal(logits(folder), logits(FIXTURES / "qwen2-tiny/hf"))


@pytest.mark.parametrize(("name", "key"), [("qwen2-tiny", "num_hidden_layers"), ("gpt2-tiny", "n_layer")])
def test_more_layers_than_tensors_are_not_made_first(name, key, tmp_path):
    with pytest.raises(NotAModelError, match=r"its metadata says 2147483647 layers, and it holds 2\d tensors"):
        reference(edited(name, tmp_path / "hf", **{key: 2**31 - 1}))


def test_one_unit_is_in_memory_at_a_time():
    model = reference(FIXTURES / "qwen3-tiny/hf")
    held = []

    class Counting:
        def run(self, unit, call, args, kwargs):
            held.append(sum(4 * p.numel() for p in model._model.parameters() if not p.is_meta))
            return call(*args, **kwargs)

    model.hidden(IDS, Counting())
    assert len(held) == len(model.units) - 1
    assert max(held) == model.largest_unit < model.nbytes / 2
    assert all(parameter.is_meta for parameter in model._model.parameters())
    with model.kept():
        model.hidden(IDS)
        assert model._loaded == {unit.name for unit in model.units} - {"lm_head"}
    assert model._loaded == set()


def test_files_that_make_no_model_say_why(tmp_path):
    folder = FIXTURES / "apr/0.72.3"
    with pytest.raises(NotAModelError, match=r"it lacks model\.layers\.0\.self_attn\.q_proj\.bias"):
        reference(folder / "llama-tiny256/s-convert-q4k.apr")
    with pytest.raises(NotAModelError, match="its metadata makes no model"):
        reference(folder / "gemma3-tiny/s-import.apr")
    shutil.copy(FIXTURES / "qwen2-tiny/hf/model.safetensors", tmp_path)
    with pytest.raises(NotAModelError, match="no metadata"):
        reference(tmp_path)
