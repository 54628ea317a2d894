"""The repaired model passes the ordinary comparison, and its bytes are the product's own where they were all there."""

import shutil

import pytest
from fixture_files import FIXTURES

from aprtui.cli.main import main
from aprtui.compare.comparison import Scope, compare_models
from aprtui.convert.builtin import BuiltinConverter
from aprtui.core.causes import Repair, cause_named
from aprtui.core.outcomes import Outcome
from aprtui.demo import MODEL
from aprtui.diagnose import Taken, diagnose, write_repaired
from aprtui.faults import FAULTS, inject
from aprtui.formats.container import Format
from aprtui.formats.model import open_model
from aprtui.formats.output_types import parse_output_type

CASES = (
    ("weights.rotary_extra", "lossless", Taken.REARRANGED),
    ("weights.rows_rolled", "lossless", Taken.REARRANGED),
    ("weights.heads_reversed", "lossless", Taken.REARRANGED),
    ("weights.heads_reversed", "q8_0", Taken.REARRANGED),
    ("weights.columns_reversed", "lossless", Taken.REARRANGED),
    ("weights.rows_repeated", "q4_k_m", Taken.SOURCE),
    ("weights.end_zeroed", "lossless", Taken.SOURCE),
    ("weights.transposed", "lossless", Taken.REARRANGED),
    ("weights.k_v_swapped", "lossless", Taken.REARRANGED),
    ("weights.layers_swapped", "lossless", Taken.REARRANGED),
    ("weights.elements_shifted", "lossless", Taken.REARRANGED),
    ("weights.nibbles_swapped", "q4_0", Taken.REARRANGED),
    ("weights.sub_scales_rolled", "q4_k_m", Taken.REARRANGED),
    ("weights.bf16_labelled_f16", "lossless", Taken.REARRANGED),
    ("weights.zeroed", "lossless", Taken.SOURCE),
    ("weights.norm_plus_one_doubled", "lossless", Taken.SOURCE),
    ("structure.tensor_missing", "q8_0", Taken.SOURCE),
    ("structure.norms_quantised", "lossless", Taken.SOURCE),
    ("structure.dims_reversed", "lossless", Taken.REARRANGED),
    ("structure.prefix_doubled", "lossless", None),
    ("structure.qkv_left_fused", "lossless", Taken.REARRANGED),
    ("structure.extra_tensor", "lossless", None),
    ("metadata.constants_of_7b", "lossless", None),
    ("metadata.file_type", "q8_0", None),
    ("tokenizer.missing", "lossless", None),
)


def repaired(fault, asked_for, tmp_path):
    """A damaged GGUF, its diagnosis, the repaired file, and what its comparison says."""
    source = open_model(MODEL)
    place = tmp_path / "good"
    place.mkdir()
    asked = parse_output_type(asked_for)
    good = BuiltinConverter().convert(MODEL, Format.GGUF, place, asked)
    target = open_model(inject(FAULTS[fault], good, tmp_path / "damaged", source=source).path)
    scope = Scope(asked_for=asked)
    comparison = compare_models(source, target, scope)
    assert comparison.outcome is Outcome.FALSIFIED
    explained = diagnose(source, target, comparison, scope)
    result = write_repaired(source, target, explained, tmp_path / "fixed.gguf", asked_for=asked)
    return good, explained.diagnosis, result, compare_models(source, open_model(result.path), scope)


@pytest.mark.parametrize(("fault", "asked_for", "taken"), CASES, ids=[f"{case[0]}-{case[1]}" for case in CASES])
def test_the_repaired_model_passes(fault, asked_for, taken, tmp_path):
    _, diagnosis, result, again = repaired(fault, asked_for, tmp_path)
    assert again.outcome is Outcome.CORROBORATED
    assert diagnosis.is_complete
    others = set(result.tensors.values()) - {Taken.KEPT}
    assert others == ({taken} if taken else set())


@pytest.mark.parametrize(
    ("fault", "expected"),
    [("integrity.not_a_number", "integrity.not_finite"), ("integrity.infinite", "weights.overflowed")],
)
def test_what_is_too_large_for_f16_becomes_infinite_never_nan(fault, expected, tmp_path):
    _, diagnosis, _, _ = repaired(fault, "f16", tmp_path)
    assert [named.code for named in diagnosis.causes] == [expected]


def test_rearranged_bytes_are_those_of_the_good_product(tmp_path):
    good, _, result, _ = repaired("weights.nibbles_swapped", "q4_0", tmp_path)
    assert result.path.read_bytes() == good.read_bytes()


def test_what_is_lost_is_said_and_left(tmp_path):
    _, diagnosis, result, again = repaired("weights.late_scales_unpacked", "q4_k_m", tmp_path)
    assert again.outcome is Outcome.FALSIFIED
    assert Taken.LEFT in result.tensors.values()
    assert diagnosis.sentence.endswith("1 of them needs another conversion")
    assert {cause_named(named.code).repair for named in diagnosis.causes} == {Repair.CONVERT_AGAIN}


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as left:
        main(["repair", *map(str, arguments)])
    return left.value.code, capsys.readouterr()


def test_a_real_file_is_repaired(capsys, tmp_path):
    """apr 0.72.3 exports llama without rearranging q and k; llama.cpp's own product is what comes out."""
    source, broken = FIXTURES / "llama-tiny256/hf", FIXTURES / "apr/0.72.3/llama-tiny256/s-import-export.gguf"
    code, output = run(capsys, source, broken, "-o", tmp_path / "fixed.gguf")
    assert code == 0
    assert "17 kept as they are, 4 rearranged" in output.out
    assert "Weights equal after layout" in output.out
    again, _ = run(capsys, source, tmp_path / "fixed.gguf", "-o", tmp_path / "twice.gguf")
    assert again == 2


def test_an_existing_file_is_not_overwritten(capsys, tmp_path):
    fixed = tmp_path / "fixed.gguf"
    shutil.copy(FIXTURES / "qwen2-tiny/gguf/bf16.gguf", fixed)
    code, output = run(
        capsys, FIXTURES / "qwen2-tiny/hf", FIXTURES / "apr/0.72.3/qwen2-tiny/sg.gguf", "--output", fixed
    )
    assert code == 2
    assert "exists" in output.err
