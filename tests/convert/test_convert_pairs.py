"""All six pairs of all architectures, compared on every level, and what other programs' files become."""

from pathlib import Path

import pytest
import torch
from fixture_files import FIXTURES
from safetensors.torch import load_file

from aprtui.compare.comparison import Scope, compare_models
from aprtui.convert.builtin import BuiltinConverter
from aprtui.core.outcomes import Level, Outcome
from aprtui.formats.container import Format
from aprtui.formats.model import open_model
from aprtui.formats.output_types import parse_output_type

S, G, A = Format.SAFETENSORS, Format.GGUF, Format.APR
LOSSLESS = parse_output_type("lossless")
PAIRS = {
    "S-G": ((), (G,)),
    "S-A": ((), (A,)),
    "G-S": ((G,), (G, S)),
    "A-S": ((A,), (A, S)),
    "A-G": ((A,), (A, G)),
    "G-A": ((G,), (G, A)),
}
WITH_TOKENIZER = [
    *("qwen2-tiny", "llama-tiny256", "gemma3-tiny", "phi3-tiny", "gpt2-tiny", "qwen3-tiny"),
    "qwen3-sharded-tiny",
]
BARE = sorted(path.name for path in (Path(__file__).parents[1] / "data/architectures").iterdir() if path.is_dir())
# What llama.cpp's code settles otherwise than these checkpoints, without a key in GGUF: the attention scale, which it
# derives from head_dim, and that the weights of the chosen experts are normalised.
LOST_IN_GGUF = {
    **dict.fromkeys(("gemma2", "gemma3-cut", "gemma3-f16"), "query_pre_attn_scalar"),
    "qwen3_moe": "norm_topk_prob",
}
# Stand-in tokenizers, of no kind that a format could name.
STUB_TOKENIZER = {"gemma3-cut", "gemma3-f16"}


def compared(source: Path, target: Path, root: Path, **scope):
    scope = {"asked_for": LOSSLESS, "reference": open_model(root), **scope}
    return compare_models(open_model(source), open_model(target), Scope(**scope))


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("name", WITH_TOKENIZER)
def test_every_level_holds(product, name, pair):
    source, target = PAIRS[pair]
    result = compared(product(name, *source), product(name, *target), product(name))
    assert [level.level for level in result.levels] == [level for level in Level if level is not Level.BEHAVIOUR]
    assert all(level.outcome is Outcome.CORROBORATED for level in result.levels), result.levels


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("name", BARE)
def test_every_architecture(product, name, pair):
    source, target = PAIRS[pair]
    # The cut of gemma3's vocabulary cannot be undone, so a pair is held against its own source here.
    result = compared(product(name, *source), product(name, *target), product(name, *source))
    others = [level for level in result.levels if level.level is not Level.TOKENIZER]
    failed = {finding.subject for level in others for finding in level.failures}
    lost = name in LOST_IN_GGUF and pair in ("S-G", "A-G")
    assert failed == ({LOST_IN_GGUF[name]} if lost else set())
    tokenizer = next(level for level in result.levels if level.level is Level.TOKENIZER)
    stub = name in STUB_TOKENIZER and pair[0] in "SA"
    assert tokenizer.outcome is (Outcome.FALSIFIED if stub else Outcome.SKIPPED)


@pytest.mark.parametrize("name", WITH_TOKENIZER)
def test_llama_cpps_own_files_lead_back_to_the_checkpoint(name, product, tmp_path):
    original = product(name)
    directory = BuiltinConverter().convert(original.parent / "gguf/bf16.gguf", S, tmp_path, LOSSLESS)
    expected = {key: tensor for file in original.glob("*.safetensors") for key, tensor in load_file(file).items()}
    found = load_file(directory / "model.safetensors")
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key].float(), expected[key].float()) for key in expected)


def test_rows_of_an_apr_with_ggufs_names_are_put_back(tmp_path):
    source = FIXTURES / "apr/0.72.3/llama-tiny256/g-bf16-import.apr"
    product = BuiltinConverter().convert(source, S, tmp_path, LOSSLESS)
    reference = FIXTURES / "llama-tiny256/hf"
    result = compared(reference, product, reference, levels=(Level.STRUCTURE, Level.METADATA, Level.WEIGHTS))
    assert result.outcome is Outcome.CORROBORATED


@pytest.mark.parametrize(
    ("stored", "target", "types"),
    [
        *((stored, S, {"F32"}) for stored in ("Q4_K_M", "Q8_0", "IQ4_XS")),
        ("Q4_K_M", A, {"F32", "Q4_K", "Q6_K"}),
        ("Q8_0", A, {"F32"}),
        ("IQ4_XS", A, {"F32", "Q6_K"}),
    ],
)
def test_blocks_that_a_format_cannot_hold_become_f32(stored, target, types, tmp_path):
    source = FIXTURES / f"llama-tiny256/gguf/{stored}.gguf"
    product = BuiltinConverter().convert(source, target, tmp_path, LOSSLESS)
    assert compared(source, product, source).outcome is Outcome.CORROBORATED
    assert {tensor.dtype.value for tensor in open_model(product).tensors.values()} == types
