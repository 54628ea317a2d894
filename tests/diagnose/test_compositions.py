"""Several things wrong with one tensor at once, and products that are another model altogether."""

import json

import numpy as np
import pytest

from aprtui.compare.comparison import Scope, compare_models
from aprtui.core.diagnosis import Diagnosis
from aprtui.core.dtypes import DType
from aprtui.core.json_values import from_json, to_json
from aprtui.core.outcomes import Outcome
from aprtui.demo import MODEL
from aprtui.diagnose import diagnose
from aprtui.diagnose.samples import floats
from aprtui.faults.draft import draft_of
from aprtui.faults.writing import write_draft
from aprtui.formats.model import open_model
from aprtui.formats.output_types import parse_output_type
from aprtui.formats.views import (
    ColumnsPermuted,
    Concatenated,
    Packing,
    Reblocked,
    Reinterpreted,
    Reshaped,
    RowsPermuted,
    Scaled,
    Sliced,
    Transposed,
)
from aprtui.formats.views.edited import ValuesEdited
from aprtui.report.diagnosis_markdown import markdown_lines


@pytest.fixture(scope="module")
def source():
    return open_model(MODEL)


def diagnosed(source, draft, place, asked_for="lossless"):
    place.mkdir()
    target = open_model(write_draft(draft, place))
    scope = Scope(asked_for=parse_output_type(asked_for))
    comparison = compare_models(source, target, scope)
    assert comparison.outcome is Outcome.FALSIFIED
    return comparison, diagnose(source, target, comparison, scope).diagnosis


def codes(diagnosis):
    return {named.code for named in diagnosis.causes}


def rolled(view, by):
    return RowsPermuted(view, np.roll(np.arange(view.shape[0], dtype=np.int64), by), "rolled")


COMPOSED = {
    "transposed and negated": (
        lambda view: Scaled(Reshaped(Transposed(view), view.shape), -1.0),
        DType.BF16,
        {"weights.transposed", "weights.negated"},
    ),
    "rolled and scaled": (
        lambda view: Scaled(rolled(view, 2), 0.5),
        DType.BF16,
        {"weights.rows_rolled", "weights.scaled"},
    ),
    "halves and byte order": (
        lambda view: Reblocked(rolled(view, view.shape[0] // 2), Packing.BYTE_ORDER),
        DType.BF16,
        {"weights.row_halves_swapped", "weights.byte_order"},
    ),
    "rolled and labelled F16": (
        lambda view: Reinterpreted(rolled(view, 4), DType.F16),
        DType.F16,
        {"weights.rows_rolled", "weights.label"},
    ),
}


@pytest.mark.parametrize("name", COMPOSED)
def test_everything_that_is_wrong_with_one_tensor_is_named(name, source, tmp_path):
    change, dtype, expected = COMPOSED[name]
    draft = draft_of(source)
    tensor = draft.role("blk.0.ffn_down.weight")
    draft.put(tensor, change(tensor.view), dtype=dtype)
    _, diagnosis = diagnosed(source, draft, tmp_path / "product")
    assert codes(diagnosis) == expected
    assert diagnosis.is_complete
    assert all(named.members == (tensor.canonical,) for named in diagnosis.causes)


def test_a_permutation_that_no_rule_knows_is_found_row_by_row(source, tmp_path):
    draft = draft_of(source)
    tensor = draft.role("blk.1.ffn_up.weight")
    order = np.arange(tensor.shape[0], dtype=np.int64)
    order[[3, 9, 77]] = order[[77, 3, 9]]
    draft.put(tensor, RowsPermuted(tensor.view, order, "three rows"))
    _, diagnosis = diagnosed(source, draft, tmp_path / "product")
    assert codes(diagnosis) == {"weights.rows_permuted"}
    assert "3 of 512 rows: 3 holds 77, 9 holds 3, 77 holds 9;" in diagnosis.causes[0].evidence


def reversed_heads(rows):
    return np.arange(rows, dtype=np.int64).reshape(4, -1)[::-1].reshape(-1)


def shuffled(count):
    return np.random.default_rng(5).permutation(count).astype(np.int64)


MOVED = {
    "heads reversed": (
        lambda view: RowsPermuted(view, reversed_heads(view.shape[0]), "heads"),
        "weights.rows_permuted",
        "256 of 256 rows: 0 to 63 hold 192 to 255, 64 to 127 hold 128 to 191, 128 to 191 hold 64 to 127 …",
    ),
    "rows reversed": (
        lambda view: RowsPermuted(view, np.arange(view.shape[0], dtype=np.int64)[::-1], "reversed"),
        "weights.rows_permuted",
        "256 of 256 rows: 0 to 255 hold 255 to 0 in reverse",
    ),
    "columns shuffled": (
        lambda view: ColumnsPermuted(view, shuffled(view.shape[1]), "shuffled"),
        "weights.columns_permuted",
        "of 256 columns: 0 holds",
    ),
    "columns reversed": (
        lambda view: ColumnsPermuted(view, np.arange(view.shape[1], dtype=np.int64)[::-1], "reversed"),
        "weights.columns_permuted",
        "256 of 256 columns: 0 to 255 hold 255 to 0 in reverse",
    ),
    "a quarter twice": (
        lambda view: RowsPermuted(view, np.r_[0:64, 0:64, 128:256].astype(np.int64), "twice"),
        "weights.rows_repeated",
        "64 of 256 rows: 64 to 127 hold 0 to 63;",
    ),
}


@pytest.mark.parametrize("name", MOVED)
def test_rows_and_columns_in_any_order_are_found_by_their_values(name, source, tmp_path):
    change, code, words = MOVED[name]
    draft = draft_of(source)
    tensor = draft.role("blk.1.attn_q.weight")
    draft.put(tensor, change(tensor.view))
    _, diagnosis = diagnosed(source, draft, tmp_path / "product")
    assert codes(diagnosis) == {code}
    assert words in diagnosis.causes[0].evidence
    assert diagnosis.is_complete and diagnosis.tensors_left == 0


def test_rows_are_looked_for_a_span_at_a_time(source, tmp_path, monkeypatch):
    """Matrices of a large model are not held whole."""
    decoded = []

    def counted(view, rows):
        decoded.append(len(rows) * view.columns)
        return floats(view, rows)

    monkeypatch.setattr("aprtui.diagnose.permuted.SPAN", 4096)
    monkeypatch.setattr("aprtui.diagnose.permuted.floats", counted)
    draft = draft_of(source)
    tensor = draft.role("blk.1.ffn_up.weight")
    draft.put(tensor, RowsPermuted(tensor.view, shuffled(tensor.shape[0]), "shuffled"))
    _, diagnosis = diagnosed(source, draft, tmp_path / "product")
    assert codes(diagnosis) == {"weights.rows_permuted"}
    assert len(decoded) > 2 * tensor.view.elements // 4096 - 1 and max(decoded) <= 4096


def test_rows_that_are_no_rows_of_the_source_are_not_called_moved(source, tmp_path):
    draft = draft_of(source)
    tensor = draft.role("blk.1.attn_q.weight")
    order = shuffled(tensor.shape[0])

    def one_foreign(values, rows):
        return np.where((rows == 7)[:, None], values[:, ::-1], values)

    draft.put(tensor, ValuesEdited(RowsPermuted(tensor.view, order, "shuffled"), one_foreign))
    _, diagnosis = diagnosed(source, draft, tmp_path / "product")
    assert not codes(diagnosis) & {"weights.rows_permuted", "weights.columns_permuted", "weights.rows_repeated"}


def test_a_chunk_of_zeros_is_counted_by_its_elements(source, tmp_path):
    draft = draft_of(source)
    tensor = draft.role("blk.1.ffn_up.weight")
    elements = tensor.view.elements

    def cut(values, rows):
        places = rows[:, None] * values.shape[1] + np.arange(values.shape[1])
        return np.where(places >= elements - 700, np.float32(0), values)

    draft.put(tensor, ValuesEdited(tensor.view, cut))
    _, diagnosis = diagnosed(source, draft, tmp_path / "product")
    assert codes(diagnosis) == {"weights.rows_zeroed"}
    assert "700 elements in 3 of 512 rows are zero" in diagnosis.causes[0].evidence
    assert diagnosis.is_complete


def test_what_nothing_explains_is_said(source, tmp_path):
    """Squared values resemble nothing that a converter does, and are still like the source."""
    draft = draft_of(source)
    tensor = draft.role("blk.0.ffn_up.weight")
    draft.change_values(tensor, lambda values, _: values + np.float32(0.01) * np.sign(values))
    _, diagnosis = diagnosed(source, draft, tmp_path / "product")
    assert not diagnosis.is_complete
    assert [item.subject for item in diagnosis.unexplained] == [tensor.canonical]
    assert diagnosis.sentence == "no cause was found: 1 of 1 failures is unexplained"
    answers = {asked.question.value: asked.answer.value for asked in diagnosis.questions}
    assert answers == {"transposed": "unknown", "quantisation": "unknown", "tokenizer": "no"}


def other_weights(draft, change):
    for tensor in draft.choose("blk.*.weight", where=lambda item: item.is_matrix):
        draft.put(tensor, ValuesEdited(tensor.view, change))


def test_a_fine_tune_is_called_one(source, tmp_path):
    def tuned(values, rows):
        noise = np.random.default_rng(int(rows[0])).standard_normal(values.shape).astype(np.float32)
        return values + np.float32(0.1) * values.std() * noise

    draft = draft_of(source)
    other_weights(draft, tuned)
    _, diagnosis = diagnosed(source, draft, tmp_path / "product")
    assert codes(diagnosis) == {"weights.fine_tuned"}


def test_a_merged_adapter_is_called_one(source, tmp_path):
    def merged(values, rows):
        random = np.random.default_rng(5)
        right = random.standard_normal((4, values.shape[1])).astype(np.float32)
        left = random.standard_normal((4096, 4)).astype(np.float32)[rows]
        return values + np.float32(0.1) * values.std() * (left @ right)

    draft = draft_of(source)
    for tensor in draft.choose("blk.*.attn_q.weight", "blk.*.attn_v.weight"):
        draft.put(tensor, ValuesEdited(tensor.view, merged))
    _, diagnosis = diagnosed(source, draft, tmp_path / "product")
    assert codes(diagnosis) == {"weights.lora_merged"}


def test_an_extended_vocabulary_is_compared_where_both_have_it(source, tmp_path):
    draft = draft_of(source)
    tensor = draft.role("token_embd.weight")
    draft.put(tensor, Concatenated((Scaled(tensor.view, 2.0), Sliced(tensor.view, 0, 8)), "extended"))
    _, diagnosis = diagnosed(source, draft, tmp_path / "product")
    assert codes(diagnosis) == {"structure.vocabulary_padded", "weights.scaled"}
    assert {named.code: named.layer for named in diagnosis.causes}["weights.scaled"] == 2
    assert diagnosis.layers == 2


def test_a_diagnosis_survives_json_and_becomes_an_issue(source, tmp_path):
    draft = draft_of(source)
    tensor = draft.role("blk.0.ffn_down.weight")
    draft.put(tensor, Reshaped(Transposed(tensor.view), tensor.shape))
    comparison, diagnosis = diagnosed(source, draft, tmp_path / "pro`duct")
    assert from_json(Diagnosis, json.loads(json.dumps(to_json(diagnosis)))) == diagnosis
    text = "\n".join(markdown_lines(comparison, diagnosis))
    assert "| transposed? | **yes** | 1 | weights.transposed: model.layers.0.mlp.down\\_proj.weight |" in text
    assert "## 1. A matrix is transposed under its right shape (`weights.transposed`)" in text
    assert "paiml/aprender#202" in text
    assert "pro`duct" not in text
    assert [named.members for named in diagnosis.causes] == [(tensor.canonical,)]
