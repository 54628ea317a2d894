"""The integrity level: one model against itself.

Headers were checked while the file was opened; this adds what needs a second look: checksums over whole files,
metadata against shapes, and NaN or infinity among the weights.
"""

from __future__ import annotations

from collections.abc import Iterable

from aprtui.compare.weights import measure_pair
from aprtui.core.dtypes import DType, Family
from aprtui.core.findings import SOURCE_SIDE, Finding, LevelResult, judge_level, on_side
from aprtui.core.outcomes import Level, Severity
from aprtui.core.results import TensorResult
from aprtui.formats.apr import check_footer
from aprtui.formats.container import Format, StoredTensor
from aprtui.formats.layout.plan import TensorPair, embedding_name, head_name
from aprtui.formats.model import Model
from aprtui.formats.names import parse
from aprtui.formats.views import Stored

_HEAD_KEYS = ("num_attention_heads", "num_key_value_heads")


def check_integrity(
    source: Model, target: Model | None = None, tensors: Iterable[TensorResult] = (), *, read_weights: bool = True
) -> LevelResult:
    """Integrity of both sides; findings say in their place which one they are of.

    Args:
        source: A.
        target: B; None for one model alone.
        tensors: Results of the weights level, whose counts of non-finite values are taken over.
        read_weights: Look for NaN and infinity in tensors that `tensors` does not cover.
    """
    counted = {result.name: result for result in tensors}
    findings: list[Finding] = []
    tied = bool(source.config.values.get("tie_word_embeddings"))
    sides = ((SOURCE_SIDE, source),) if target is None else ((SOURCE_SIDE, source), ("B", target))
    for side, model in sides:
        own = [*model.findings, *_footer(model), *_config_against_shapes(model)]
        own += _non_finite(model, side, counted, read_weights=read_weights)
        findings += on_side(_without_repeats(model, own, tied=tied), side)
    skipped = () if read_weights or counted else ("NaN and infinity: weights were not read",)
    checked = sum(len(model.tensors) for _, model in sides)
    return judge_level(Level.INTEGRITY, findings, checked=checked, not_checked=skipped)


def _without_repeats(model: Model, findings: list[Finding], *, tied: bool) -> list[Finding]:
    """Findings without those of a tied head that repeat what was found of the embedding it copies."""
    embedding, head = embedding_name(model), head_name(model)
    if not tied:
        return findings
    known = {finding.message for finding in findings if finding.subject == embedding}
    return [finding for finding in findings if finding.subject != head or finding.message not in known]


def _footer(model: Model) -> list[Finding]:
    if model.format is not Format.APR:
        return []
    found = check_footer(model.path)
    return [found] if found else []


def _config_against_shapes(model: Model) -> list[Finding]:
    """Sizes that the metadata states, held against the shapes that every architecture gives them."""
    values = model.config.values
    findings = []
    embedding = embedding_name(model) or "model.embed_tokens.weight"
    for key, name, axis in (
        ("vocab_size", embedding, 0),
        ("hidden_size", embedding, 1),
        ("intermediate_size", "model.layers.0.mlp.down_proj.weight", 1),
    ):
        stated, tensor = values.get(key), model.tensors.get(name)
        if key not in model.config.explicit or not isinstance(stated, int) or tensor is None:
            continue
        if len(tensor.shape) == 2 and tensor.shape[axis] != stated:
            findings.append(
                Finding(
                    Level.INTEGRITY,
                    key,
                    f"{key} contradicts the shape of {name}",
                    expected=str(tensor.shape[axis]),
                    found=str(stated),
                )
            )
    return findings + _layers_against_names(model) + _head_counts(model)


def _layers_against_names(model: Model) -> list[Finding]:
    stated = model.config.values.get("num_hidden_layers")
    layers = {layer for name in model.tensors if (layer := parse(name).layer) is not None}
    if "num_hidden_layers" not in model.config.explicit or not layers or stated == max(layers) + 1:
        return []
    return [
        Finding(
            Level.INTEGRITY,
            "num_hidden_layers",
            "num_hidden_layers contradicts the tensors",
            expected=str(max(layers) + 1),
            found=str(stated),
        )
    ]


def _head_counts(model: Model) -> list[Finding]:
    """No head is a fault; a number of heads that does not fit the rows of q and k only a note (metadata judges it)."""
    findings = []
    values, explicit = model.config.values, model.config.explicit
    for key, projection in zip(_HEAD_KEYS, ("q_proj", "k_proj"), strict=True):
        heads, head_dim = values.get(key), values.get("head_dim")
        if key not in explicit or not isinstance(heads, int):
            continue
        tensor = model.tensors.get(f"model.layers.0.self_attn.{projection}.weight")
        if heads <= 0:
            findings.append(Finding(Level.INTEGRITY, key, f"{key} is {heads}", expected="at least 1", found=str(heads)))
        elif tensor is not None and tensor.shape and isinstance(head_dim, int) and tensor.shape[0] != heads * head_dim:
            message = f"{key} times head_dim {head_dim} is not the {tensor.shape[0]} rows of {projection}"
            findings.append(Finding(Level.INTEGRITY, key, message, Severity.NOTE, found=str(heads)))
    return findings


def _non_finite(model: Model, side: str, counted: dict[str, TensorResult], *, read_weights: bool) -> list[Finding]:
    findings = []
    for name, tensor in model.tensors.items():
        if tensor.is_placeholder or not tensor.readable or tensor.dtype.info.family is Family.INTEGER:
            continue
        if tensor.dtype is DType.C64:
            continue  # The weights level says that it cannot be read.
        if name in counted:
            record = counted[name].record
            nan, inf = (record.nan_a, record.inf_a) if side == SOURCE_SIDE else (record.nan_b, record.inf_b)
        elif read_weights:
            nan, inf = count_non_finite(tensor)
        else:
            continue
        if nan or inf:
            message = f"{nan} NaN and {inf} infinite values of {tensor.elements}"
            findings.append(Finding(Level.INTEGRITY, name, message, place=f"stored as {tensor.name}"))
    return findings


def count_non_finite(tensor: StoredTensor) -> tuple[int, int]:
    """NaN and infinite elements of a tensor."""
    record = measure_pair(TensorPair(tensor.name, Stored(tensor), tensor, ()))
    return record.nan_a, record.inf_a
