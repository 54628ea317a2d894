"""Products that are another model altogether: pruned layers, another model's weights, a longer vocabulary."""

import numpy as np
import pytest
from fixture_files import FIXTURES

from aprtui.compare.comparison import Scope, compare_models
from aprtui.diagnose import diagnose
from aprtui.faults import stated
from aprtui.faults.draft import draft_of
from aprtui.faults.writing import write_draft
from aprtui.formats.model import open_model
from aprtui.formats.names import parse
from aprtui.formats.output_types import parse_output_type
from aprtui.formats.views.edited import ValuesEdited

LAYERS = 4


@pytest.fixture(scope="module")
def source():
    return open_model(FIXTURES / "qwen3-sharded-tiny/hf")


def diagnosed(source, draft, place):
    place.mkdir()
    target = open_model(write_draft(draft, place))
    scope = Scope(asked_for=parse_output_type("lossless"))
    return diagnose(source, target, compare_models(source, target, scope), scope).diagnosis


def keep_layers(draft, kept, *, said=True):
    """Leave layers out and number the others anew; `said`: config.json has the new number."""
    layers = {tensor.name: parse(tensor.name).layer for tensor in draft.tensors}
    draft.remove(tensor for tensor in draft.tensors if layers[tensor.name] not in (None, *kept))
    for tensor in draft.tensors:
        layer = layers[tensor.name]
        if layer is not None:
            tensor.name = tensor.canonical = tensor.name.replace(f"layers.{layer}.", f"layers.{kept.index(layer)}.")
    if said:
        stated.set_value(draft, "num_hidden_layers", len(kept))


@pytest.mark.parametrize("kept", [(0, 2, 3), (1, 2, 3), (0, 3), (0, 1, 2)], ids=str)
def test_pruned_layers_are_called_so_and_the_kept_ones_listed(kept, source, tmp_path):
    draft = draft_of(source)
    keep_layers(draft, kept)
    diagnosis = diagnosed(source, draft, tmp_path / "product")
    (cause,) = diagnosis.causes
    assert cause.code == "weights.layers_pruned"
    assert cause.evidence.endswith(f"of numbers {', '.join(map(str, kept))}")
    first = next(layer for layer in range(LAYERS) if layer >= len(kept) or kept[layer] != layer)
    assert cause.where.endswith(f"of layer {first}" if first == LAYERS - 1 else f"of layers {first} to {LAYERS - 1}")
    assert diagnosis.sentence.endswith("1 of them says that it is another model")


def test_last_layers_that_config_json_still_counts_were_lost(source, tmp_path):
    draft = draft_of(source)
    keep_layers(draft, (0, 1, 2), said=False)
    (cause,) = diagnosed(source, draft, tmp_path / "product").causes
    assert (cause.code, cause.evidence) == ("structure.layers_missing", "layer 3 is missing")


def test_pruned_layers_hide_no_other_fault(source, tmp_path):
    draft = draft_of(source)
    keep_layers(draft, (0, 2, 3))
    tensor = next(item for item in draft.tensors if item.canonical == "model.layers.1.mlp.up_proj.weight")
    draft.put(tensor, ValuesEdited(tensor.view, lambda values, _: -values))
    diagnosis = diagnosed(source, draft, tmp_path / "product")
    assert {named.code for named in diagnosis.causes} == {"weights.layers_pruned", "weights.negated"}
    assert {named.code: named.members for named in diagnosis.causes}["weights.negated"] == (tensor.canonical,)
    assert diagnosis.is_complete


@pytest.mark.parametrize("stated_number", [7, LAYERS])
def test_a_number_of_layers_that_is_nobodys_is_a_fault_of_its_own(stated_number, source, tmp_path):
    draft = draft_of(source)
    keep_layers(draft, (0, 2, 3), said=False)
    stated.set_value(draft, "num_hidden_layers", stated_number)
    diagnosis = diagnosed(source, draft, tmp_path / "product")
    codes = {named.code for named in diagnosis.causes}
    assert "weights.layers_pruned" in codes
    subjects = {one.subject for one in diagnosis.unexplained}
    sizes = {member for named in diagnosis.causes if named.code != "weights.layers_pruned" for member in named.members}
    assert "num_hidden_layers" in subjects | sizes


def test_weights_of_another_model_resemble_nothing(source, tmp_path):
    def foreign(values, rows):
        return np.random.default_rng(int(rows[0])).standard_normal(values.shape, np.float32) * values.std()

    draft = draft_of(source)
    matrices = draft.choose("blk.*.weight", where=lambda item: item.is_matrix)
    for tensor in matrices:
        draft.put(tensor, ValuesEdited(tensor.view, foreign))
    (cause,) = diagnosed(source, draft, tmp_path / "product").causes
    assert cause.code == "weights.one_model_for_another"
    assert set(cause.members) == {tensor.canonical for tensor in matrices}
