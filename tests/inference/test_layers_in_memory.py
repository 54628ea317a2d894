"""What lockstep holds in memory does not depend on how many layers the models have."""

import json
import shutil

import pytest
from fixture_files import FIXTURES
from safetensors.torch import load_file, save_file

from aprtui.compare.behaviour import BehaviourSettings
from aprtui.compare.comparison import Scope, compare_models
from aprtui.convert.builtin.product import write_product
from aprtui.core.outcomes import Level, Outcome
from aprtui.formats.container import Format
from aprtui.formats.model import open_model
from aprtui.formats.output_types import parse_output_type
from aprtui.inference.reference.model import ReferenceModel
from aprtui.inference.reference.recorder import SourceRecorder

SCOPE = Scope(levels=(Level.BEHAVIOUR,), running=BehaviourSettings(tokens=0))


def pair_of(folder, layers):
    """The tiny qwen2 with its layers repeated, and its Q8_0 GGUF."""
    source, product = folder / f"{layers}", folder / f"{layers}.gguf"
    shutil.copytree(FIXTURES / "qwen2-tiny/hf", source, copy_function=shutil.copyfile)
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    tensors = load_file(source / "model.safetensors")
    marker, given = "model.layers.0.", config["num_hidden_layers"]
    inside = [name.removeprefix(marker) for name in tensors if name.startswith(marker)]
    for layer in range(given, layers):
        for name in inside:
            tensors[f"model.layers.{layer}.{name}"] = tensors[f"model.layers.{layer % given}.{name}"].clone()
    save_file(tensors, source / "model.safetensors", {"format": "pt"})
    changed = {"num_hidden_layers": layers, "max_window_layers": layers, "layer_types": ["full_attention"] * layers}
    (source / "config.json").write_text(json.dumps(config | changed), encoding="utf-8")
    write_product(open_model(source), Format.GGUF, product, parse_output_type("q8_0"))
    return open_model(source), open_model(product)


@pytest.fixture
def held(monkeypatch):
    """Bytes of weights of all models that are in memory, each time that a unit was loaded; and what is in files."""
    models, found = [], {"weights": [], "files": 0}
    begin, load, run = ReferenceModel.__init__, ReferenceModel._load, SourceRecorder.run

    def begun(self, *arguments):
        models.append(self)
        begin(self, *arguments)

    def loaded(self, unit):
        load(self, unit)
        live = {}
        for model in models:
            live |= {id(each): each.nbytes for each in model._model.parameters() if not each.is_meta}
        found["weights"].append(sum(live.values()))

    def recorded(self, *arguments):
        output = run(self, *arguments)
        found["files"] = sum(path.stat().st_size for path in self._folder.iterdir())
        return output

    monkeypatch.setattr(ReferenceModel, "__init__", begun)
    monkeypatch.setattr(ReferenceModel, "_load", loaded)
    monkeypatch.setattr(SourceRecorder, "run", recorded)
    return found


def test_six_times_the_layers_take_the_same_memory(tmp_path, held):
    peaks, files = [], []
    for layers in (2, 12):
        held["weights"].clear()
        source, product = pair_of(tmp_path, layers)
        comparison = compare_models(source, product, SCOPE)
        assert comparison.outcome is Outcome.CORROBORATED
        assert comparison.behaviour.equals_twin
        units = [error.unit for error in comparison.behaviour.layers if not error.block]
        assert [unit for unit in units if ".layers." in unit] == [f"model.layers.{at}" for at in range(layers)]
        peaks.append(max(held["weights"]))
        files.append(held["files"])
    assert peaks[0] == peaks[1]
    assert files[1] > 4 * files[0]  # What the source showed lies on the disk, and that does grow.


def test_what_a_layer_leaves_goes_back_to_the_system(tmp_path, monkeypatch):
    """glibc would keep it, layer for layer."""
    events = []
    unload = ReferenceModel._unload
    monkeypatch.setattr(ReferenceModel, "_unload", lambda self, unit: (unload(self, unit), events.append("unload"))[0])
    monkeypatch.setattr("aprtui.inference.reference.model.return_memory", lambda: events.append("return"))
    assert compare_models(*pair_of(tmp_path, 2), SCOPE).outcome is Outcome.CORROBORATED
    assert events[:6] == ["unload", "return"] * 3
