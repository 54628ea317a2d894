from pathlib import Path

import pytest
from fixture_files import FIXTURES

from aprtui.core.dtypes import DType
from aprtui.core.errors import UsageError
from aprtui.formats.container import Format
from aprtui.formats.gguf import read_gguf
from aprtui.formats.layout.geometry import Geometry
from aprtui.formats.names import canonical_names
from aprtui.formats.output_types import Conversion, parse_output_type

GEOMETRIES = {
    "llama-tiny256": Geometry("llama", 2, 4, 2, 64, 256, 512),
    "qwen2-tiny": Geometry("qwen2", 2, 4, 2, 16, 64, 512),
    "qwen3-tiny": Geometry("qwen3", 2, 4, 2, 128, 256, 512),
    "gemma3-tiny": Geometry("gemma3_text", 2, 4, 2, 64, 256, 512),
    "phi3-tiny": Geometry("phi3", 2, 4, 2, 64, 256, 512),
    "gpt2-tiny": Geometry("gpt2", 2, 4, 4, 64, 256, 512),
    "qwen3-sharded-tiny": Geometry("qwen3", 4, 4, 2, 128, 256, 512),
}
FILES = [path for model in GEOMETRIES for path in sorted((FIXTURES / model / "gguf").glob("*.gguf"))]


def types_against(path: Path, outtype: str) -> dict[str, tuple[DType, tuple[DType, ...]]]:
    """Types of a file that are not among those allowed: name -> (found, allowed)."""
    container = read_gguf(path)
    geometry = GEOMETRIES[path.parent.parent.name]
    names = canonical_names(geometry.architecture, [tensor.name for tensor in container.tensors])
    conversion = Conversion(
        geometry,
        Format.GGUF,
        tied=all(tensor.name != "output.weight" for tensor in container.tensors),
        importance_matrix=any(key.startswith("quantize.imatrix") for key in container.metadata),
    )
    asked_for = parse_output_type(outtype)
    wrong = {}
    for tensor in container.tensors:
        allowed = asked_for.allowed(names[tensor.name], tensor.shape, DType.BF16, conversion)
        if tensor.dtype not in allowed:
            wrong[tensor.name] = (tensor.dtype, allowed)
    return wrong


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.parent.name}-{path.stem}")
def test_types_of_llama_cpps_files_are_what_their_recipe_says(path):
    recipe = path.stem.removeprefix("imatrix-").lower()
    assert types_against(path, recipe) == {}


def test_another_recipe_is_noticed():
    path = FIXTURES / "llama-tiny256/gguf/Q4_K_M.gguf"
    wrong = types_against(path, "q4_k_s")
    assert wrong["blk.1.ffn_down.weight"] == (DType.Q6_K, (DType.Q4_K,))
    assert "token_embd.weight" not in wrong


def test_lossless_allows_the_same_or_a_wider_type_only():
    conversion = Conversion(GEOMETRIES["llama-tiny256"], Format.APR, tied=False, importance_matrix=False)
    allowed = parse_output_type("lossless").allowed("model.norm.weight", (256,), DType.BF16, conversion)
    assert set(allowed) == {DType.BF16, DType.F32, DType.F64}


def test_aprs_q4_k_may_leave_the_embedding_in_float():
    conversion = Conversion(GEOMETRIES["qwen2-tiny"], Format.APR, tied=True, importance_matrix=False)
    asked_for = parse_output_type("Q4-K")
    embedding = asked_for.allowed("model.embed_tokens.weight", (512, 64), DType.BF16, conversion)
    projection = asked_for.allowed("model.layers.0.mlp.up_proj.weight", (128, 64), DType.BF16, conversion)
    assert DType.F32 in embedding
    assert projection == (DType.Q4_K,)


def test_an_unknown_type_lists_the_known_ones():
    with pytest.raises(UsageError, match=r"unknown output type 'q9'; use one of .*q4_k_m"):
        parse_output_type("q9")
