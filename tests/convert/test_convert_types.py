"""Output types: types that were asked for, bytes that llama-quantize and apr write, memory that stays bounded."""

import tracemalloc

import numpy as np
import pytest
from apr_by_hand import parse
from fixture_files import FIXTURES
from safetensors.numpy import save_file

from aprtui.compare.comparison import Scope, compare_models
from aprtui.convert.builtin import BuiltinConverter
from aprtui.convert.builtin.tensors import product_tensors
from aprtui.core.errors import AprtuiError
from aprtui.core.outcomes import Outcome
from aprtui.formats.container import Format
from aprtui.formats.model import open_model
from aprtui.formats.output_types import parse_output_type

S, G, A = Format.SAFETENSORS, Format.GGUF, Format.APR


def converted(source, target, asked_for, folder):
    return BuiltinConverter().convert(source, target, folder, parse_output_type(asked_for))


def stored_bytes(model, name):
    tensor = model.tensors[name]
    with tensor.file.open("rb") as file:
        file.seek(tensor.offset)
        return tensor.dtype, file.read(tensor.nbytes)


@pytest.mark.parametrize("recipe", ["Q8_0", "Q4_0", "Q5_1", "Q4_K_M", "Q6_K", "Q2_K", "f16"])
def test_every_tensor_has_the_bytes_that_llama_quantize_writes(recipe, tmp_path):
    product = open_model(converted(FIXTURES / "llama-tiny256/hf", G, recipe, tmp_path))
    expected = open_model(FIXTURES / f"llama-tiny256/gguf/{recipe}.gguf")
    assert product.tensors.keys() == expected.tensors.keys()
    for name in expected.tensors:
        assert stored_bytes(product, name) == stored_bytes(expected, name), name
    assert product.container.metadata["general.file_type"] == expected.container.metadata["general.file_type"]


@pytest.mark.parametrize("asked_for", ["int8", "int4"])  # Its Q4_K encoder is another one.
def test_every_matrix_has_the_bytes_that_apr_writes(asked_for, tmp_path):
    product = parse(converted(FIXTURES / "qwen2-tiny/hf", A, asked_for, tmp_path).read_bytes())
    expected = parse((FIXTURES / f"apr/0.72.3/qwen2-tiny/s-import-{asked_for}.apr").read_bytes())
    compared = [record for record in expected.records if len(record.shape) == 2 and record.size]
    assert len(compared) > 10
    codes = {record.name: record.code for record in product.records}
    for record in compared:
        if record.name != "lm_head.weight" and codes[record.name] == record.code:
            assert product.data(record.name) == expected.data(record.name), record.name
    assert sum(codes[record.name] == record.code for record in compared) >= 14


@pytest.mark.parametrize(
    ("source", "asked_for"), [("gpt2-tiny", "q8_0"), ("qwen2-tiny", "q4_k_m"), ("phi3-tiny", "f32")]
)
def test_asked_types_are_certified(source, asked_for, tmp_path):
    product = converted(FIXTURES / source / "hf", G, asked_for, tmp_path)
    scope = Scope(asked_for=parse_output_type(asked_for))
    result = compare_models(open_model(FIXTURES / source / "hf"), open_model(product), scope)
    assert result.outcome is Outcome.CORROBORATED, result.levels


def test_a_type_that_a_format_lacks_is_refused_by_name(tmp_path):
    with pytest.raises(AprtuiError, match="SafeTensors cannot store Q8_0"):
        product_tensors(open_model(FIXTURES / "qwen2-tiny/hf"), S, parse_output_type("q8_0"))
    with pytest.raises(AprtuiError, match="APR cannot store Q8_0"):
        product_tensors(open_model(FIXTURES / "qwen2-tiny/hf"), A, parse_output_type("q5_0"))


@pytest.mark.parametrize(("target", "asked_for"), [(G, "lossless"), (A, "lossless"), (A, "int8"), (G, "q8_0")])
def test_memory_does_not_grow_with_the_model(target, asked_for, tmp_path):
    source = tmp_path / "hf"
    source.mkdir()
    (source / "config.json").write_bytes((FIXTURES / "llama-tiny256/hf/config.json").read_bytes())
    rows = np.random.default_rng(7).standard_normal((4096, 4096), np.float32)
    save_file({f"model.layers.0.self_attn.{part}_proj.weight": rows for part in "qk"}, source / "model.safetensors")
    del rows
    converted(FIXTURES / "llama-tiny256/hf", target, asked_for, tmp_path)  # Modules and compiled encoders are loaded.
    (tmp_path / "product").mkdir()
    tracemalloc.start()
    converted(source, target, asked_for, tmp_path / "product")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40 << 20  # The two tensors have 134 MB.
