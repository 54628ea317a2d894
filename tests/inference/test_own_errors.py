"""Each part of a model by itself: what it makes of the source's own input, and what the layers need on the disk."""

import shutil
from collections import namedtuple
from dataclasses import replace

import numpy as np
import pytest
from fixture_files import FIXTURES
from hf_edits import edited
from variants import variants

from aprtui.compare.behaviour import BehaviourSettings
from aprtui.compare.comparison import Scope, compare_models
from aprtui.core.behaviour_level import judge_behaviour
from aprtui.core.outcomes import Level, Outcome
from aprtui.faults import FAULTS, inject
from aprtui.faults.draft import draft_of
from aprtui.faults.writing import write_draft
from aprtui.formats.model import open_model
from aprtui.formats.views import Added, Scaled

SCOPE = Scope(levels=(Level.BEHAVIOUR,), running=BehaviourSettings(tokens=0))
NAMES = ("qwen2-tiny", "llama-tiny256", "qwen3-tiny", "gemma3-tiny", "phi3-tiny", "gpt2-tiny")
NORMS = (
    *("attn_norm", "attn_q_norm", "attn_k_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"),
    "output_norm",
)
Usage = namedtuple("Usage", "total used free")


def compared(source, target):
    comparison = compare_models(source, target, SCOPE)
    (level,) = comparison.levels
    return level, comparison.behaviour


def scaled(name, kind, role, place, factor=1.5):
    source, product = (open_model(FIXTURES / name / part) for part in ("hf", f"gguf/{kind}.gguf"))
    draft = draft_of(product)
    tensor = draft.role(role)
    draft.put(tensor, Scaled(tensor.view, factor))
    place.mkdir()
    return source, open_model(write_draft(draft, place))


@variants("name", NAMES)
def test_an_error_of_attention_is_none_of_the_mlp_behind_it(name, tmp_path):
    """The MLP inherits it, and by itself is the source's bit for bit."""
    source, target = scaled(name, "bf16", "blk.0.attn_output.weight", tmp_path / "x")
    level, behaviour = compared(source, target)
    assert level.outcome is Outcome.FALSIFIED
    own = {(error.unit, error.block): error for error in behaviour.layers}
    first = behaviour.first_divergence
    assert first.block in ("self_attn", "attn")
    others = [error for (unit, block), error in own.items() if block and (unit, block) != (first.unit, first.block)]
    twin = [error.twin_own or 0.0 for error in others]
    assert [error.own.nmse for error in others] == twin
    mlp = own[first.unit, "mlp"]
    assert mlp.inherited.nmse > 0 == mlp.own.nmse


@variants("norm", NORMS)
def test_every_norm_of_gemma_is_named_where_its_one_is_missing(norm, tmp_path):
    roles = {tensor.role for tensor in draft_of(open_model(FIXTURES / "gemma3-tiny/gguf/bf16.gguf")).tensors}
    role = f"{norm}.weight" if norm == "output_norm" else f"blk.1.{norm}.weight"
    assert role in roles
    source, product = (open_model(FIXTURES / "gemma3-tiny" / part) for part in ("hf", "gguf/bf16.gguf"))
    draft = draft_of(product)
    draft.put(draft.role(role), Added(draft.role(role).view, -1.0))
    (tmp_path / "x").mkdir()
    level, behaviour = compared(source, open_model(write_draft(draft, tmp_path / "x")))
    assert level.outcome is Outcome.FALSIFIED
    expected = {
        "attn_norm": ("model.layers.1", "input_layernorm"),
        "post_attention_norm": ("model.layers.1", "post_attention_layernorm"),
        "ffn_norm": ("model.layers.1", "pre_feedforward_layernorm"),
        "post_ffw_norm": ("model.layers.1", "post_feedforward_layernorm"),
        "attn_q_norm": ("model.layers.1", "self_attn.q_norm"),
        "attn_k_norm": ("model.layers.1", "self_attn.k_norm"),
        "output_norm": ("model.norm", ""),
    }
    first = behaviour.first_divergence
    assert (first.unit, first.block) == expected[norm]


@pytest.mark.parametrize("role", ["attn_q_norm", pytest.param("attn_k", marks=pytest.mark.slow)])
def test_a_norm_of_queries_is_told_from_the_matrix_in_front_of_it(role, tmp_path):
    """Each is fed what the source fed its own, also where its layer is off before."""
    source, target = scaled("qwen3-tiny", "bf16", f"blk.1.{role}.weight", tmp_path / "x")
    _, behaviour = compared(source, target)
    off = [error.block for error in behaviour.layers if error.unit == "model.layers.1" and error.own.nmse]
    inside = ["self_attn.q_norm"] if role == "attn_q_norm" else []
    assert off == [*inside, "self_attn", ""]


def test_where_every_bit_counts_the_smallest_error_is_named(tmp_path):
    """Of gemma, whose norms are computed, a twin explains rounding; but logits must be the twin's bit for bit."""
    source = open_model(FIXTURES / "gemma3-tiny/hf")
    good = FIXTURES / "gemma3-tiny/gguf/bf16.gguf"
    damaged = inject(FAULTS["metadata.rms_norm_eps.changed"], good, tmp_path / "x", source=source)
    level, behaviour = compared(source, open_model(damaged.path))
    assert level.outcome is Outcome.FALSIFIED and not behaviour.equals_twin
    assert not any(error.diverges for error in behaviour.layers)
    assert behaviour.first_divergence.block == "input_layernorm"
    assert any(finding.subject == "model.layers.0.input_layernorm" for finding in level.failures)


def test_a_layer_that_one_model_alone_has_is_named(tmp_path):
    fewer = edited("qwen2-tiny", tmp_path / "fewer", num_hidden_layers=1)
    whole = FIXTURES / "qwen2-tiny/hf"
    for source, target in ((whole, fewer), (fewer, whole)):
        level, behaviour = compared(open_model(source), open_model(target))
        assert level.outcome is Outcome.FALSIFIED
        assert [error.name for error in behaviour.layers if error.one_sided] == ["model.layers.1"]
        assert behaviour.first_divergence.name == "model.layers.1"
        (named,) = (finding for finding in level.failures if finding.subject == "model.layers.1")
        assert named.message == "the first part that only one of the models has"


def test_where_layers_were_not_measured_none_is_said_to_be_near(monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1000, 0, 1000))
    source, target = (open_model(FIXTURES / "qwen2-tiny" / part) for part in ("hf", "gguf/Q8_0.gguf"))
    _, behaviour = compared(source, target)
    failed = judge_behaviour(replace(behaviour, excess=replace(behaviour.excess, kld=1.0)))
    assert failed.outcome is Outcome.FALSIFIED
    assert not [finding for finding in failed.findings if "nearest is" in finding.message]


@pytest.mark.parametrize("free", [None, 1000], ids=["a disk that fills up", "a disk that is small"])
def test_layers_that_find_no_room_on_the_disk_are_skipped_alone(free, monkeypatch):
    """With the reason, and everything else is judged."""
    if free is None:
        written, save = [], np.save

        def full(place, values):
            written.append(place)
            if len(written) > 7:
                raise OSError(28, "No space left on device")
            save(place, values)

        monkeypatch.setattr("aprtui.inference.reference.recorder.np.save", full)
    else:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(free, 0, free))
    source, target = (open_model(FIXTURES / "qwen2-tiny" / part) for part in ("hf", "gguf/Q8_0.gguf"))
    level, behaviour = compared(source, target)
    assert level.outcome is Outcome.CORROBORATED and behaviour.target.positions
    assert [error.unit for error in behaviour.layers] == ["lm_head"]
    (reason,) = (text for text in level.not_checked if text.startswith("layers: "))
    assert ("No space left on device" if free is None else "GiB") in reason and "TMPDIR" in reason
