"""The acceptance of the comparison: real files by real converters, good ones and broken ones."""

import json
from functools import cache
from pathlib import Path

import pytest
from fixture_files import FIXTURES

from aprtui.compare import weights
from aprtui.compare.comparison import STATIC_LEVELS, Scope, compare_models
from aprtui.core.outcomes import ExitCode, Level
from aprtui.core.results import Comparison, WeightsClass
from aprtui.core.tolerance import Rule
from aprtui.formats.model import open_model
from aprtui.formats.output_types import parse_output_type

MODELS = ["gemma3", "gpt2", "llama", "phi3", "qwen2", "qwen3", "qwen3-sharded"]
FOLDERS = [FIXTURES / ("llama-tiny256" if model == "llama" else f"{model}-tiny") for model in MODELS]
GOOD = [path for folder in FOLDERS for path in sorted((folder / "gguf").glob("*.gguf"))]
EXPECTED = json.loads((FIXTURES / "apr/expected.json").read_text())
EXACT_LEVELS = (Level.INTEGRITY, Level.STRUCTURE, Level.WEIGHTS)
ARCHITECTURES = sorted(path for path in (Path(__file__).parents[1] / "data/architectures").iterdir() if path.is_dir())


@cache
def compare(source: Path, target: Path, outtype: str | None) -> Comparison:
    asked_for = parse_output_type(outtype) if outtype else None
    return compare_models(open_model(source), open_model(target), Scope(asked_for=asked_for))


def failures(result: Comparison) -> dict[str, list[str]]:
    return {level.level.value: sorted({f.subject for f in level.failures}) for level in result.levels if level.failures}


def recipe_of(path: Path) -> str:
    return path.stem.removeprefix("imatrix-").lower()


@pytest.mark.parametrize("path", GOOD, ids=lambda path: f"{path.parent.parent.name}-{path.stem}")
def test_every_good_conversion_passes_every_level(path):
    result = compare(path.parent.parent / "hf", path, recipe_of(path))
    assert failures(result) == {}
    assert [level.level for level in result.levels] == list(STATIC_LEVELS)
    assert result.exit_code == ExitCode.PASSED
    assert len(result.tensors) == len(open_model(path).tensors)
    expected = {"f16": WeightsClass.ROUNDING_ONLY, "bf16": WeightsClass.EQUAL_AFTER_LAYOUT}
    expected["f32"] = WeightsClass.EQUAL_AFTER_LAYOUT
    assert result.weights is expected.get(recipe_of(path), WeightsClass.QUANTISATION_ONLY)


def test_layout_rules_come_from_architecture_and_metadata():
    layouts = {
        model: {tensor.layout for tensor in compare(FIXTURES / model / "hf", FIXTURES / model / file, None).tensors}
        for model, file in {
            "llama-tiny256": "gguf/bf16.gguf",
            "gemma3-tiny": "gguf/bf16.gguf",
            "gpt2-tiny": "gguf/bf16.gguf",
            "phi3-tiny": "gguf/bf16.gguf",
        }.items()
    }
    assert layouts["llama-tiny256"] == {
        "",
        "q rows permuted for adjacent-pair rotary embedding, 4 heads",
        "k rows permuted for adjacent-pair rotary embedding, 2 kv heads",
    }
    assert layouts["gemma3-tiny"] == {"", "+1"}
    assert layouts["gpt2-tiny"] == {"", "transposed"}
    assert layouts["phi3-tiny"] == {""}


def test_the_permutation_is_not_forgiven_where_the_architecture_has_none():
    result = compare(
        FIXTURES / "llama-tiny256/hf", FIXTURES / "apr/0.72.3/llama-tiny256/s-import-export.gguf", "lossless"
    )
    failed = {tensor.name for tensor in result.tensors if not tensor.judgement.passed}
    assert failed == {f"model.layers.{n}.self_attn.{part}_proj.weight" for n in (0, 1) for part in "qk"}


def test_an_importance_matrix_needs_its_own_clauses_and_says_so():
    result = compare(FIXTURES / "llama-tiny256/hf", FIXTURES / "llama-tiny256/gguf/imatrix-Q4_0.gguf", "q4_0")
    certified = [tensor for tensor in result.tensors if tensor.tolerance.rule is Rule.CERTIFICATE]
    assert any(tensor.record.certificate.unknown_weights for tensor in certified)


def test_another_output_type_than_the_one_asked_for_is_a_structure_finding():
    good = FIXTURES / "llama-tiny256"
    result = compare(good / "hf", good / "gguf/Q6_K.gguf", "q4_k_m")
    assert list(failures(result)) == ["structure"]
    assert "model.layers.0.self_attn.q_proj.weight" in failures(result)["structure"]


@pytest.mark.parametrize("row", EXPECTED, ids=lambda row: row["file"].replace("/", "-"))
def test_real_apr_files_show_what_is_wrong_with_them(row):
    folder = FIXTURES / "apr"
    result = compare((folder / row["reference"]).resolve(), folder / row["file"], row["outtype"])
    found = failures(result)
    for level in row["passes"]:
        assert level not in found, level
    for level, subjects in row["fails"].items():
        if level in EXACT_LEVELS:
            assert found.get(level) == sorted(subjects), level
        else:
            assert set(subjects) <= set(found.get(level, [])), level


def test_names_that_no_loader_looks_for_are_noted():
    folder = FIXTURES / "apr/0.72.3"
    result = compare(FIXTURES / "gemma3-tiny/hf", folder / "gemma3-tiny/sg.gguf", "lossless")
    structure = next(level for level in result.levels if level.level is Level.STRUCTURE)
    notes = {finding.subject: finding.message for finding in structure.findings if not finding.is_failure}
    name = "model.layers.0.post_feedforward_layernorm.weight"
    assert "llama.cpp does not look for, which is blk.0.post_ffw_norm.weight" in notes[name]


def test_all_real_apr_files_are_listed():
    assert len(EXPECTED) == 52


def test_blocks_that_apr_copied_are_no_transposition():
    good = FIXTURES / "llama-tiny256/gguf"
    for name in ("bf16", "Q4_K_M", "Q6_K"):
        result = compare(good / f"{name}.gguf", FIXTURES / f"apr/0.72.3/llama-tiny256/g-{name}-import.apr", "lossless")
        assert len([tensor for tensor in result.tensors if len(tensor.shape) == 2]) >= 12
        assert all(tensor.record.differing == 0 for tensor in result.tensors)


@pytest.mark.parametrize("folder", ARCHITECTURES, ids=lambda path: path.name)
def test_every_architecture_converted_by_llama_cpp_passes_on_weights(folder):
    (target,) = (folder / "gguf").glob("*.gguf")
    levels = (Level.INTEGRITY, Level.STRUCTURE, Level.WEIGHTS)
    result = compare_models(open_model(folder / "hf"), open_model(target), Scope(levels=levels))
    assert failures(result) == {}
    assert result.tensors


def test_results_do_not_depend_on_the_number_of_threads():
    source, target = open_model(FIXTURES / "llama-tiny256/hf"), open_model(FIXTURES / "llama-tiny256/gguf/Q4_K_M.gguf")
    one, four = (compare_models(source, target, Scope(jobs=jobs)) for jobs in (1, 4))
    assert one.tensors == four.tensors
    assert one.levels == four.levels


def test_the_scope_bounds_the_work():
    source, target = open_model(FIXTURES / "llama-tiny256/hf"), open_model(FIXTURES / "llama-tiny256/gguf/Q8_0.gguf")
    scope = Scope(levels=(Level.WEIGHTS,), tensor_globs=("*.q_proj.weight",))
    result = compare_models(source, target, scope)
    assert {tensor.name for tensor in result.tensors} == {f"model.layers.{n}.self_attn.q_proj.weight" for n in (0, 1)}
    assert [level.level for level in result.levels] == [Level.WEIGHTS]
    assert any("tensors outside" in part for part in result.not_checked)
    assert any("tokenizer: not planned" in part for part in result.not_checked)


@pytest.mark.parametrize("name", ["Q4_K_M", "imatrix-Q4_0", "bf16"])
def test_segments_add_up_to_the_whole(name, monkeypatch):
    source, target = open_model(FIXTURES / "llama-tiny256/hf"), open_model(FIXTURES / f"llama-tiny256/gguf/{name}.gguf")
    scope = Scope(levels=(Level.WEIGHTS,), jobs=2)
    whole = compare_models(source, target, scope)
    monkeypatch.setattr(weights, "CHUNK_ELEMENTS", 1 << 12)
    monkeypatch.setattr(weights, "SEGMENT_ELEMENTS", 1 << 14)
    cut = compare_models(source, target, scope)
    for one, other in zip(whole.tensors, cut.tensors, strict=True):
        assert one.record.certificate == other.record.certificate
        assert one.record.differing == other.record.differing
        assert (one.record.max_abs, one.record.max_abs_index) == (other.record.max_abs, other.record.max_abs_index)
        assert one.record.sum_squared_error == pytest.approx(other.record.sum_squared_error, rel=1e-12)
    assert [tensor.name for tensor in whole.tensors] == [tensor.name for tensor in cut.tensors]
