"""One fault shows in several places: what only follows from another cause is counted to it, not named beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from aprtui.core.dtypes import Family
from aprtui.core.outcomes import Level
from aprtui.diagnose.found import Found
from aprtui.formats.container import Format
from aprtui.formats.metadata.architectures import row_pairing
from aprtui.formats.model import Model
from aprtui.formats.names import RowOrder, parse

Follows = Callable[[Found, Found, Model], bool]
"""Whether the first cause is only a consequence of the second one, in this product."""

_PLACES = frozenset({"integrity.offsets", "integrity.type", "integrity.broken_rows", "integrity.shared_offset"})
_NAMED_BY_WEIGHTS = frozenset({"weights.label", "weights.byte_order", "weights.overflowed", "weights.data_offset"})
_OTHERWISE_SHAPED = frozenset({"weights.label", "structure.reshaped"})
_TYPES = frozenset(
    {
        *("structure.type_not_asked_for", "structure.narrowed", "structure.widened"),
        "structure.norms_or_biases_quantised",
    }
)
_HEADER_PARTS = frozenset({"model", "special_tokens", "chat_template", "add_bos", "add_eos"})


def without_consequences(found: list[Found], target: Model) -> list[Found]:
    """The causes that stand by themselves; each also accounts for what follows from it."""
    kept = list(found)
    for follows in _RULES:
        for cause in list(kept):
            main = next((other for other in kept if other is not cause and follows(cause, other, target)), None)
            if main is not None:
                kept[kept.index(main)] = replace(main, accounts_for=main.accounts_for | cause.accounts_for)
                kept.remove(cause)
    return kept


def _not_finite_by_reading(cause: Found, main: Found, _: Model) -> bool:
    """Absurd values of a wrong reading are not finite by accident; what both levels found counts once."""
    again = main.code == cause.code and main.before is not None and cause.before is None
    return (
        cause.code == "integrity.not_finite"
        and (main.code in _NAMED_BY_WEIGHTS or again)
        and set(cause.members) <= set(main.members)
    )


def _type_by_label(cause: Found, main: Found, _: Model) -> bool:
    """A type that was not asked for is only the label, or is right for the shape that the tensor should have."""
    return cause.code in _TYPES and main.code in _OTHERWISE_SHAPED and set(cause.members) <= set(main.members)


def _file_type_by_label(cause: Found, main: Found, target: Model) -> bool:
    """The only matrices in blocks are those whose type is not the one of their bytes."""
    blocks = {
        name
        for name, tensor in target.tensors.items()
        if len(tensor.shape) > 1 and tensor.dtype.info.family is Family.BLOCK
    }
    wrong = main.code in ("integrity.type", "weights.label")
    return cause.code == "metadata.file_type" and wrong and blocks <= set(main.members)


def _values_by_place(cause: Found, main: Found, _: Model) -> bool:
    """Where tensors lie is not known: values and types read there mean nothing."""
    foreign = cause.code in ("weights.one_model_for_another", "weights.values_changed")
    shared = bool(set(cause.members) & set(main.members))
    same = shared and (cause.code in _TYPES or cause.code == "integrity.not_finite")
    return main.code in _PLACES and (foreign or same)


def _weights_by_header(cause: Found, main: Found, _: Model) -> bool:
    """Tensors that the header puts in the wrong place, or that it names twice, hold something else."""
    inside = set(cause.members) <= set(main.members)
    return (
        cause.code.startswith("weights.")
        and (main.code in _PLACES or main.code == "integrity.repeated_name")
        and inside
    )


def _few_by_not_finite(cause: Found, main: Found, _: Model) -> bool:
    """The elements or blocks that differ are those that are not finite."""
    few = cause.code in ("weights.blocks_changed", "weights.values_changed")
    return few and main.code == "integrity.not_finite" and set(cause.members) <= set(main.members)


def _hole_by_shared_offset(cause: Found, main: Found, _: Model) -> bool:
    """The room that a tensor does not take is the hole before the next one."""
    return cause.code == "integrity.offsets" and main.code == "integrity.shared_offset"


def _missing_by_name(cause: Found, main: Found, _: Model) -> bool:
    """Two tensors of one name: the other name is missing."""
    templates = {parse(name).template for name in main.members}
    return (
        cause.code == "structure.tensor_missing"
        and main.code == "integrity.repeated_name"
        and all(parse(name).template in templates for name in cause.members)
    )


def _placeholder(cause: Found, main: Found, target: Model) -> bool:
    """A tied head without bytes no longer fits what it stands for."""
    is_head = all(name in target.tensors and target.tensors[name].is_placeholder for name in cause.members)
    moved = main.code.startswith("structure.") or (
        main.code.startswith("metadata.") and (Level.METADATA, "tie_word_embeddings") in main.accounts_for
    )
    return cause.code == "integrity.type" and is_head and (moved or main.code == "metadata.missing")


def _tied_by_head(cause: Found, main: Found, target: Model) -> bool:
    """A file that does not say whether its head is tied shows it by having one."""
    key = "tie_word_embeddings"
    told = cause.members == (key,) and key not in target.config.explicit
    return told and main.code in ("structure.head_missing", "structure.prefix", "structure.name")


def _rope_type_by_rows(cause: Found, main: Found, target: Model) -> bool:
    """The type fits the rows as they are: it is their names that do not."""
    stated, architecture = target.config.values.get("rope_type"), target.architecture
    fits = any(row_pairing(architecture, order) == stated for order in set(RowOrder) - set(target.config.row_orders))
    return (
        cause.code == "metadata.rope_type" and main.code in ("weights.rotary_missing", "weights.rotary_extra") and fits
    )


def _parts_of_header(cause: Found, main: Found, target: Model) -> bool:
    """Without a header's keys the tokenizer lacks those that are kept there too."""
    kept = frozenset({"special_tokens"}) if target.format is Format.SAFETENSORS else _HEADER_PARTS
    without = main.code in ("metadata.missing", "metadata.not_json")
    members = {member.partition(".")[0] for member in cause.members}
    return without and cause.code.startswith("tokenizer.") and members <= kept


_RULES: tuple[Follows, ...] = (
    _not_finite_by_reading,
    _type_by_label,
    _file_type_by_label,
    _hole_by_shared_offset,
    _values_by_place,
    _weights_by_header,
    _few_by_not_finite,
    _missing_by_name,
    _placeholder,
    _tied_by_head,
    _rope_type_by_rows,
    _parts_of_header,
)
