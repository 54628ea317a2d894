"""Damage made to pass: each product here is wrong in a way that a comparison once took for right, or the reverse."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fixture_files import FIXTURES
from gguf import GGUFReader, GGUFValueType, GGUFWriter

from aprtui.compare.comparison import STATIC_LEVELS, Scope, compare_models
from aprtui.core.outcomes import ExitCode, Level, Outcome
from aprtui.core.results import Comparison, WeightsClass
from aprtui.formats.layout.rope_tensors import llama3_factors
from aprtui.formats.model import open_model

LLAMA = FIXTURES / "llama-tiny256"
ROPE = Path(__file__).parents[1] / "data/architectures/llama-bias-rope"
HEAD, EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"


def hugging_face(
    folder: Path, source: Path = LLAMA / "hf", *, tensors=None, drop=(), named=str, files=None, **config
) -> Path:
    """A copy of a checkpoint: tensors added (raw bytes), dropped, renamed; other values in config.json; other files."""
    shutil.copytree(source, folder)
    whole = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(whole | config))
    for name, content in (files or {}).items():
        (folder / name).write_text(content)
    path = folder / "model.safetensors"
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header, data = json.loads(content[8 : 8 + length]), content[8 + length :]
    header = {name: entry for name, entry in header.items() if name != "__metadata__" and name not in drop}
    kept = {
        named(name): (entry["dtype"], entry["shape"], data[slice(*entry["data_offsets"])])
        for name, entry in header.items()
    } | (tensors or {})
    header, data = {}, b""
    for name, (dtype, shape, raw) in kept.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    raw_header = json.dumps(header).encode()
    path.write_bytes(len(raw_header).to_bytes(8, "little") + raw_header + data)
    return folder


def gguf(path: Path, source: Path, *, keys=None, tensors=None, renamed=None) -> Path:
    """A copy of a GGUF with keys added, tensors replaced and tensors renamed."""
    reader = GGUFReader(source)
    writer = GGUFWriter(path, reader.fields["general.architecture"].contents())
    for key, field in reader.fields.items():
        if not key.startswith("GGUF.") and key != "general.architecture":
            kind, element = field.types[0], field.types[-1] if field.types[0] is GGUFValueType.ARRAY else None
            writer.add_key_value(key, field.contents(), kind, element)
    for key, (value, kind) in (keys or {}).items():
        writer.add_key_value(key, value, kind)
    for tensor in reader.tensors:
        data = (tensors or {}).get(tensor.name, tensor.data)
        writer.add_tensor((renamed or {}).get(tensor.name, tensor.name), data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def compare(source: Path, target: Path, *levels: Level) -> Comparison:
    return compare_models(open_model(source), open_model(target), Scope(levels=levels or STATIC_LEVELS))


def failures(result: Comparison) -> set[tuple[str, str]]:
    return {(level.level.value, finding.subject) for level in result.levels for finding in level.failures}


def level(result: Comparison, wanted: Level):
    return next(one for one in result.levels if one.level is wanted)


def test_the_helpers_leave_good_models_good(tmp_path):
    source, product = hugging_face(tmp_path / "a"), gguf(tmp_path / "b.gguf", LLAMA / "gguf/bf16.gguf")
    assert compare(source, product).exit_code == ExitCode.PASSED
    assert compare(product, source).exit_code == ExitCode.PASSED


def test_a_tied_source_is_held_to_with_the_head_that_it_stores(tmp_path):
    """transformers 5 runs with it, whatever config.json says, and so does llama.cpp in any type."""
    tied = hugging_face(tmp_path / "a", tie_word_embeddings=True)
    for name in ("bf16", "Q4_K_M"):
        assert ("weights", HEAD) not in failures(compare(tied, LLAMA / f"gguf/{name}.gguf"))
    other = hugging_face(tmp_path / "b", tie_word_embeddings=True, tensors={HEAD: ("BF16", [512, 256], b"\0" * 262144)})
    for name in ("bf16", "Q4_K_M"):
        assert ("weights", HEAD) in failures(compare(other, LLAMA / f"gguf/{name}.gguf"))
    assert compare(tied, tied).weights is WeightsClass.IDENTICAL
    assert compare(tied, tied).exit_code == ExitCode.PASSED


def test_a_tied_head_may_be_left_out_where_it_is_a_copy_of_the_embedding_alone(tmp_path):
    without = hugging_face(tmp_path / "without", tie_word_embeddings=True, drop=(HEAD,))
    other = hugging_face(tmp_path / "other", tie_word_embeddings=True)
    assert failures(compare(other, without)) == {("structure", HEAD)}
    embedding = open_model(without).tensors["model.embed_tokens.weight"]
    copied = embedding.file.read_bytes()[embedding.offset :][: embedding.nbytes]
    head = (embedding.dtype, list(embedding.shape), copied)
    copy = hugging_face(tmp_path / "copy", tie_word_embeddings=True, tensors={HEAD: head})
    assert failures(compare(copy, without)) == set()
    wide = np.frombuffer(copied, np.uint16).astype(np.uint32) << 16
    head = ("F32", list(embedding.shape), wide.tobytes())
    other_type = hugging_face(tmp_path / "other type", tie_word_embeddings=True, tensors={HEAD: head})
    assert failures(compare(other_type, without)) == set()
    head = ("F32", list(embedding.shape), (wide + 1).tobytes())
    not_quite = hugging_face(tmp_path / "not quite", tie_word_embeddings=True, tensors={HEAD: head})
    assert failures(compare(not_quite, without)) == {("structure", HEAD)}


def test_a_file_compared_with_itself_is_identical_where_it_holds_a_copy_of_the_tied_head():
    path = FIXTURES / "apr/0.72.3/qwen2-tiny/g-bf16-import.apr"
    assert compare(path, path).weights is WeightsClass.IDENTICAL


@pytest.mark.parametrize("factor", [8.0, 99.0])
def test_rope_tensors_of_a_gguf_source_are_held_against_the_scaling_of_the_checkpoint(tmp_path, factor):
    parameters = json.loads((ROPE / "hf/config.json").read_text())["rope_parameters"]
    target = hugging_face(tmp_path / "b", ROPE / "hf", rope_parameters=parameters | {"factor": factor})
    result = compare(ROPE / "gguf/bf16.gguf", target, Level.STRUCTURE, Level.WEIGHTS)
    assert failures(result) == (set() if factor == 8.0 else {("weights", "rope_freqs.weight")})
    assert "rope_freqs.weight" in {tensor.name for tensor in result.tensors}


@pytest.mark.parametrize(("steps", "passes"), [(11, True), (4000, False)])
def test_powers_of_another_library_are_no_fault(tmp_path, steps, passes):
    stored = next(tensor.data for tensor in GGUFReader(ROPE / "gguf/bf16.gguf").tensors if "rope_freqs" in tensor.name)
    moved = (np.array(stored).view(np.int32) + np.arange(stored.size, dtype=np.int32) % 2 * steps).view(np.float32)
    product = gguf(tmp_path / "b.gguf", ROPE / "gguf/bf16.gguf", tensors={"rope_freqs.weight": moved})
    result = compare(ROPE / "hf", product, Level.STRUCTURE, Level.WEIGHTS)
    assert failures(result) == (set() if passes else {("weights", "rope_freqs.weight")})


def test_llama3_factors_stay_near_those_of_torch():
    for theta, dim in ((1e4, 80), (1e4, 96), (5e5, 128), (1e6, 256)):
        frequencies = 1.0 / (theta ** (torch.arange(0, dim, 2, dtype=torch.float32) / dim))
        waves = 2 * torch.pi / frequencies
        smooth = (8192 / waves - 1.0) / 3.0
        between = 1 / ((1 - smooth) / 32.0 + smooth)
        expected = torch.where(waves < 2048, torch.ones(()), torch.where(waves > 8192, torch.tensor(32.0), between))
        found = llama3_factors({"rope_theta": theta, "factor": 32.0}, dim)
        assert np.abs(expected.numpy().view(np.int32) - found.view(np.int32)).max() <= 32


def notes(result: Comparison) -> dict[str, str]:
    findings = [finding for one in result.levels for finding in one.findings if not finding.is_failure]
    return {finding.subject: finding.message for finding in findings}


def test_a_gguf_with_checkpoint_names_is_noted(tmp_path):
    """llama.cpp finds no blk.0.attn_q.weight in it."""
    name = "model.layers.0.self_attn.q_proj.weight"
    product = gguf(tmp_path / "b.gguf", LLAMA / "gguf/bf16.gguf", renamed={"blk.0.attn_q.weight": name})
    message = "it is stored under a name that llama.cpp does not look for, which is blk.0.attn_q.weight"
    assert notes(compare(LLAMA / "hf", product))[name] == message


def test_a_checkpoint_with_gguf_names_is_noted(tmp_path):
    source = FIXTURES / "qwen2-tiny/hf"
    target = hugging_face(tmp_path / "b", source, named=lambda name: name.replace("model.norm", "output_norm"))
    assert "transformers does not look for" in notes(compare(source, target))["model.norm.weight"]
    assert "model.norm.weight" not in notes(compare(target, target))


def test_a_checkpoint_without_the_causal_prefix_is_what_transformers_reads(tmp_path):
    source = FIXTURES / "qwen2-tiny/hf"
    target = hugging_face(tmp_path / "b", source, named=lambda name: name.removeprefix("model."))
    assert failures(compare(source, target)) == set()


@pytest.mark.parametrize(
    ("factor", "key", "passes"),
    [
        (4.0, "llama.rope.scaling.factor", False),
        (4.0, "llama.rope.scale_linear", False),
        (1.0, "llama.rope.scaling.factor", True),
        (0.0, "llama.rope.scaling.factor", True),
    ],
)
def test_a_scaling_factor_without_a_type_is_linear(tmp_path, factor, key, passes):
    keys = {key: (factor, GGUFValueType.FLOAT32)}
    result = compare(LLAMA / "hf", gguf(tmp_path / "b.gguf", LLAMA / "gguf/bf16.gguf", keys=keys))
    assert failures(result) == (set() if passes else {("metadata", "rope_scaling")})


@pytest.mark.parametrize("config", ["{}", '{"model_type": "llama"}', '{"foo": 1}', '{"hidden_size": 256}'])
def test_metadata_that_say_nothing_are_no_pass(tmp_path, config):
    model = hugging_face(tmp_path / "a", files={"config.json": config})
    result = compare(model, model)
    assert level(result, Level.METADATA).outcome is Outcome.SKIPPED
    assert result.exit_code == ExitCode.SKIPPED


def test_rows_in_two_orders_are_no_pass_without_a_layout_rule(tmp_path):
    unknown = hugging_face(tmp_path / "a", source=FIXTURES / "qwen2-tiny/hf", model_type="rwkv9")
    crossed = compare(unknown, FIXTURES / "qwen2-tiny/gguf/bf16.gguf", Level.WEIGHTS)
    assert level(crossed, Level.WEIGHTS).outcome is Outcome.SKIPPED
    assert any("no layout rule" in part for part in crossed.not_checked)
    same = compare(unknown, unknown, Level.WEIGHTS)
    assert same.exit_code == ExitCode.PASSED
    assert not any("no layout rule" in part for part in same.not_checked)


def test_the_weights_level_alone_names_tensors_that_are_not_there(tmp_path):
    result = compare(LLAMA / "hf", hugging_face(tmp_path / "b", drop=[HEAD]), Level.WEIGHTS)
    assert f"weights of 1 tensors missing in the target, {HEAD} first" in result.not_checked


def test_complex_numbers_are_refused_by_name(tmp_path):
    raw = np.array([1 + 4j], np.complex64).tobytes()
    model = hugging_face(tmp_path / "a", tensors={"z.weight": ("C64", [1], raw)})
    result = compare(model, model)
    assert failures(result) == {("weights", "z.weight")}
    assert len(result.tensors) == len(open_model(LLAMA / "hf").tensors)


def test_an_importance_matrix_is_mentioned_in_the_verdict():
    with_matrix = compare(LLAMA / "hf", LLAMA / "gguf/imatrix-Q4_0.gguf")
    assert "up to an importance matrix's unknown weights" in with_matrix.sentence
    assert "importance" not in compare(LLAMA / "hf", LLAMA / "gguf/Q4_0.gguf").sentence
    assert "importance" not in replace(with_matrix, tensors=(), weights=WeightsClass.NOT_COMPARED).sentence


@pytest.mark.parametrize("place", [0, 1])
def test_nan_that_moved_is_a_difference(tmp_path, place):
    def with_nan(folder: Path, at: int) -> Path:
        raw = np.zeros(4, np.float32)
        raw[at] = np.nan
        return hugging_face(folder, tensors={"z.weight": ("F32", [4], raw.tobytes())})

    result = compare(with_nan(tmp_path / "a", 0), with_nan(tmp_path / "b", place), Level.WEIGHTS)
    assert failures(result) == ({("weights", "z.weight")} if place else set())


def test_experts_that_only_the_product_states_are_a_difference(tmp_path):
    """llama.cpp looks for experts' tensors then."""
    keys = {"llama.expert_count": (8, GGUFValueType.UINT32)}
    result = compare(LLAMA / "hf", gguf(tmp_path / "b.gguf", LLAMA / "gguf/bf16.gguf", keys=keys))
    assert ("metadata", "num_experts") in failures(result)


def test_a_token_that_only_the_product_calls_special_is_noted(tmp_path):
    keys = {"tokenizer.ggml.eot_token_id": (7, GGUFValueType.UINT32)}
    result = compare(LLAMA / "hf", gguf(tmp_path / "b.gguf", LLAMA / "gguf/bf16.gguf", keys=keys))
    findings = level(result, Level.TOKENIZER).findings
    assert [finding.message for finding in findings if finding.subject != "ids"] == [
        "the target has ids that the source does not state: eot"
    ]
