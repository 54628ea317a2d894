"""The run's model against itself: sound weights, the tensors of its architecture, the shapes of its configuration.

What conversions start from is checked before anything is blamed on a converter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from time import monotonic

from aprtui.compare.integrity import check_integrity
from aprtui.compare.weights import Progress
from aprtui.core.dtypes import DType, Family
from aprtui.core.findings import Finding, FindingKind, LevelResult, judge_level, not_stated
from aprtui.core.outcomes import Level
from aprtui.core.results import Comparison, WeightsClass
from aprtui.formats.codecs import decode_chunk
from aprtui.formats.container import Format, StoredTensor
from aprtui.formats.layout.plan import embedding_name, head_name, model_row_order
from aprtui.formats.model import Model
from aprtui.formats.names import RowOrder
from aprtui.formats.names.shapes import expected_shape
from aprtui.formats.names.templates import gguf_side, model_type_of, parse, stacked, variants
from aprtui.formats.views import Stored

_CHUNK = 1 << 20


def check_model(
    model: Model,
    levels: Sequence[Level],
    expected: Mapping[str, int],
    progress: Progress | None = None,
) -> Comparison:
    """Check a model on the levels that need no other: integrity, structure, metadata.

    Args:
        model: The model.
        levels: Levels to check.
        expected: What a playbook expects of the configuration, by canonical key.
        progress: Told while weights are read: bytes so far, bytes in all, name of a tensor.
    """
    started = monotonic()
    results = []
    if Level.INTEGRITY in levels:
        results.append(_integrity(model, progress))
    if Level.STRUCTURE in levels:
        results.append(_structure(model))
    if Level.METADATA in levels:
        results.append(_metadata(model, expected))
    return Comparison(
        source=str(model.path),
        target=str(model.path),
        levels=tuple(results),
        tensors=(),
        weights=WeightsClass.NOT_COMPARED,
        not_checked=tuple(dict.fromkeys(part for result in results for part in result.not_checked)),
        asked_for=None,
        seconds=monotonic() - started,
        bytes_read=sum(tensor.nbytes for tensor in model.tensors.values()),
        embedding=tuple(filter(None, dict.fromkeys((embedding_name(model), head_name(model))))),
    )


def _integrity(model: Model, progress: Progress | None) -> LevelResult:
    """Offsets, sizes, configuration against shapes, NaN and infinity, matrices of nothing but zeros."""
    total = sum(tensor.nbytes for tensor in model.tensors.values())
    done, findings = 0, []
    for name, tensor in model.tensors.items():
        if progress:
            progress(done, total, name)
        if _is_all_zero(tensor):
            findings.append(Finding(Level.INTEGRITY, name, "every value of this matrix is zero"))
        done += tensor.nbytes
    if progress:
        progress(total, total, "")
    own = check_integrity(model)
    not_checked = (*own.not_checked, *map(not_stated, _not_stated(model)))
    if not model.tensors:
        not_checked = ("integrity: the model has no tensors", *not_checked)
    return judge_level(Level.INTEGRITY, [*own.findings, *findings], checked=own.checked, not_checked=not_checked)


def _not_stated(model: Model) -> list[str]:
    """Sizes that the integrity level could not hold against the tensors."""
    has_embedding = (embedding_name(model) or "") in model.tensors
    has_layers = any("{layer}" in parse(name).template for name in model.tensors)
    seen = {"num_hidden_layers": has_layers, "hidden_size": has_embedding, "vocab_size": has_embedding}
    return [key for key, has_tensor in seen.items() if key not in model.config.explicit or not has_tensor]


def _is_all_zero(tensor: StoredTensor) -> bool:
    """Whether a matrix holds zeros alone; a bias may."""
    if len(tensor.shape) < 2 or tensor.is_placeholder or not tensor.readable or not tensor.elements:
        return False
    if tensor.dtype is DType.C64 or tensor.dtype.info.family is Family.INTEGER:
        return False
    view = Stored(tensor)
    step = view.granule * max(1, _CHUNK // view.granule)
    found = any(
        decode_chunk(view.read(start, min(start + step, tensor.elements))).any()
        for start in range(0, tensor.elements, step)
    )
    view.release()
    return not found


def _structure(model: Model) -> LevelResult:
    """Every tensor of the architecture, in every layer, in the shape that the configuration gives it."""
    model_type = model_type_of(model.architecture)
    if model_type is None:
        reason = f"tensors: no table of the architecture {model.architecture}"
        return judge_level(Level.STRUCTURE, [], checked=0, not_checked=(reason,))
    findings = [
        Finding(Level.STRUCTURE, name, "the model lacks this tensor of its architecture", kind=FindingKind.MISSING)
        for name in _missing(model, model_type)
    ]
    sizes, checked = _sizes(model), 0
    for name, tensor in model.tensors.items():
        wanted = _shape_of(model, model_type, name, sizes)
        if wanted is None:
            continue
        checked += 1
        if wanted != tensor.shape:
            message = "its shape is not the one that the configuration gives it"
            shapes = str(list(wanted)), str(list(tensor.shape))
            findings.append(
                Finding(Level.STRUCTURE, name, message, expected=shapes[0], found=shapes[1], kind=FindingKind.SHAPE)
            )
    return judge_level(Level.STRUCTURE, findings, checked=checked)


def _missing(model: Model, model_type: str) -> Iterator[str]:
    """Names that the best fitting variant of the architecture has and the model lacks; a tied head may be absent."""
    present, geometry = set(model.tensors), model.geometry
    in_gguf_order = model_row_order(model) is RowOrder.GGUF
    head = head_name(model)
    tied = bool(model.config.values.get("tie_word_embeddings"))

    def names(variant: Sequence[str]) -> list[str]:
        templates = [one for template in variant for one in (gguf_side(template) if in_gguf_order else (template,))]
        filled = [
            template.replace("{layer}", str(layer)).replace("{expert}", str(expert))
            for template in templates
            for layer in (range(geometry.layers) if "{layer}" in template else (0,))
            for expert in (range(geometry.experts) if "{expert}" in template else (0,))
        ]
        return [name for name in dict.fromkeys(filled) if name not in present and not (tied and name == head)]

    yield from min((names(variant) for variant in variants(model_type)), key=len)


def _sizes(model: Model) -> dict[str, int]:
    """Sizes that the configuration states."""
    geometry, values = model.geometry, model.config.values
    sizes = {
        "vocab": geometry.vocab,
        "hidden": geometry.hidden,
        "q": geometry.heads * geometry.head_dim,
        "kv": geometry.kv_heads * geometry.head_dim,
        "head_dim": geometry.head_dim,
        "experts": geometry.experts,
        "intermediate": values.get("intermediate_size"),
        "moe_intermediate": values.get("moe_intermediate_size"),
        "shared_intermediate": values.get("shared_expert_intermediate_size"),
        "positions": values.get("max_position_embeddings"),
    }
    if model.format is Format.GGUF and geometry.architecture == "phi":
        del sizes["intermediate"]  # llama.cpp's converter writes 4 times the width whatever config.json says.
    return {name: size for name, size in sizes.items() if isinstance(size, int) and size > 0}


def _shape_of(model: Model, model_type: str, name: str, sizes: Mapping[str, int]) -> tuple[int, ...] | None:
    """The shape of a tensor; in GGUF's order experts are one tensor and gpt2's matrices are turned."""
    template = parse(name).template
    if model_row_order(model) is RowOrder.HF:
        return expected_shape(model_type, template, sizes)
    for variant in variants(model_type):
        for checkpoint in variant:
            if template not in gguf_side(checkpoint) or (len(gguf_side(checkpoint)) > 1):
                continue
            shape = expected_shape(model_type, checkpoint, sizes)
            if shape is not None and stacked(checkpoint) != checkpoint:
                return (sizes.get("experts", 0), *shape)
            return shape[::-1] if shape and model_type == "gpt2" and ".c_" in checkpoint else shape
    return expected_shape(model_type, template, sizes)


def _metadata(model: Model, expected: Mapping[str, int]) -> LevelResult:
    """The configuration can be read, and states what the playbook expects."""
    if model.config.is_missing:
        message = "the model has no configuration (no config.json beside it)"
        finding = Finding(Level.METADATA, "missing", message, expected="config.json", found="none")
        return judge_level(Level.METADATA, [finding, *model.config.problems], checked=1)
    findings = list(model.config.problems)
    for key, number in expected.items():
        found = model.config.values.get(key)
        if found != number:
            message = f"{key} is not what the playbook expects"
            kind = FindingKind.EXPECTATION
            findings.append(Finding(Level.METADATA, key, message, expected=str(number), found=str(found), kind=kind))
    return judge_level(Level.METADATA, findings, checked=len(expected) + len(model.config.explicit))
