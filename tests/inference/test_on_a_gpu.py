"""Where models run on a GPU: everything lies on the same device, memory is asked for first, results are the CPU's.

The device is pretended (tests/pretended_gpu.py), so that this runs everywhere; what a real one rounds is not tested.
"""

from dataclasses import replace

import pytest
import torch
from fixture_files import FIXTURES
from pretended_gpu import OnGpu, pretended_gpu
from variants import variants

from aprtui.compare.behaviour import BehaviourSettings
from aprtui.compare.comparison import Scope, compare_models
from aprtui.core.outcomes import Level, Outcome
from aprtui.faults import FAULTS, inject
from aprtui.formats.model import open_model
from aprtui.inference.golden import compare_with_golden, save_golden
from aprtui.inference.reference.checkpoint import checkpoint_of
from aprtui.inference.reference.model import ReferenceModel, Runtime

ON_CPU = Scope(levels=(Level.BEHAVIOUR,), running=BehaviourSettings("cpu", tokens=4))
ON_GPU = replace(ON_CPU, running=BehaviourSettings("cuda:1", tokens=4))


def compared(name, product, scope):
    comparison = compare_models(open_model(FIXTURES / name / "hf"), open_model(product), scope)
    (level,) = comparison.levels
    assert comparison.behaviour is not None, level.not_checked
    return level, comparison.behaviour


def without_the_machine(behaviour):
    return replace(behaviour, runtime="", seconds=0.0, peak_bytes=0)


def test_the_pretended_device_refuses_what_a_real_one_refuses(monkeypatch):
    with pretended_gpu(monkeypatch):
        there, here = torch.ones(3).to("cuda:1"), torch.ones(3)
        assert isinstance(there, OnGpu) and there.device == torch.device("cuda:1")
        assert float((there + 1).sum()) == 6.0
        with pytest.raises(RuntimeError, match="same device"):
            there + here
        with pytest.raises(TypeError, match="convert cuda"):
            there.numpy()


@variants(
    ("name", "kind"),
    [
        ("llama-tiny256", "Q4_K_M"),
        ("qwen2-tiny", "bf16"),
        *((name, "Q8_0") for name in ("qwen3-tiny", "phi3-tiny", "gpt2-tiny")),
        ("gemma3-tiny", "Q4_K_M"),
    ],
)
def test_every_figure_is_that_of_the_cpu(name, kind, monkeypatch):
    product = FIXTURES / name / f"gguf/{kind}.gguf"
    _, expected = compared(name, product, ON_CPU)
    with pretended_gpu(monkeypatch) as asked:
        level, behaviour = compared(name, product, ON_GPU)
    assert level.outcome is Outcome.CORROBORATED
    assert without_the_machine(behaviour) == without_the_machine(expected)
    assert "float32 on cuda:1 (pretended)" in behaviour.runtime
    assert set(asked) == {"cuda:1"}


@variants("fault", ["tokenizer.add_bos", "weights.two_rows_swapped"])
def test_a_fault_shows_there_too(fault, tmp_path, monkeypatch):
    """Also where tokens differ: the 2x2 test runs models of its own."""
    source = open_model(FIXTURES / "llama-tiny256/hf")
    damaged = inject(FAULTS[fault], FIXTURES / "llama-tiny256/gguf/bf16.gguf", tmp_path / "x", source=source)
    expected_level, expected = compared("llama-tiny256", damaged.path, ON_CPU)
    with pretended_gpu(monkeypatch):
        level, behaviour = compared("llama-tiny256", damaged.path, ON_GPU)
    assert level.outcome is expected_level.outcome
    assert (behaviour.swap is not None) == (fault == "tokenizer.add_bos")
    assert without_the_machine(behaviour) == without_the_machine(expected)


def test_weights_lie_on_the_device_only_while_their_layer_runs(monkeypatch):
    held = []

    class Watching:
        def run(self, unit, call, args, kwargs):
            held.append({type(parameter.data) for parameter in unit.module.parameters()})
            return call(*args, **kwargs)

    with pretended_gpu(monkeypatch):
        model = ReferenceModel(checkpoint_of(open_model(FIXTURES / "qwen2-tiny/hf")), Runtime("cuda:1"))
        model.hidden(torch.arange(6)[None], Watching())
        left = {parameter.device.type for unit in model.units for parameter in unit.module.parameters()}
    assert len(held) == len(model.units) - 1  # all but the head
    assert set().union(*held) == {OnGpu} and left == {"meta"}


def test_golden_logits_of_the_cpu_are_held_to_a_gpu(tmp_path, monkeypatch):
    source, product = FIXTURES / "qwen2-tiny/hf", FIXTURES / "qwen2-tiny/gguf/bf16.gguf"
    save_golden(open_model(source), tmp_path / "golden")
    with pretended_gpu(monkeypatch):
        _, behaviour = compare_with_golden(tmp_path / "golden", open_model(product), device="cuda:1")
    assert behaviour.target.differing == 0 and not behaviour.same_arithmetic
