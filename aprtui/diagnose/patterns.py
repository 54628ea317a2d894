"""Members of a cause in words: "all 24 k_proj", "every Q4_K tensor", "all tensors of layers 7 to 23"."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from aprtui.core.dtypes import DType
from aprtui.formats.names import parse

_SHOWN_ROLES = 4
_SHOWN_NAMES = 3


def in_words(members: Sequence[str], types: Mapping[str, DType]) -> str:
    """Where a cause is.

    Args:
        members: Canonical names, keys or parts.
        types: Stored type of every tensor of the product, by canonical name.
    """
    if len(members) == 1:
        return members[0]
    inside = set(members)
    tensors = inside & types.keys()
    if not tensors or tensors != inside:
        return _listed(members)
    if len(tensors) == len(types):
        return f"all {len(types)} tensors"
    kinds = {types[name] for name in tensors}
    if len(kinds) == 1 and len(set(types.values())) > 1:
        (kind,) = kinds
        if tensors == {name for name, dtype in types.items() if dtype is kind}:
            return f"every {kind} tensor ({len(tensors)})"
    return _by_layers(tensors, types) or _by_roles(tensors, types) or _listed(members)


def _listed(members: Sequence[str]) -> str:
    more = len(members) - _SHOWN_NAMES
    return ", ".join(members[:_SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")


def _by_layers(tensors: set[str], types: Mapping[str, DType]) -> str | None:
    """Whole layers, and nothing else."""
    layers: dict[int, set[str]] = {}
    for name in types:
        layer = parse(name).layer
        if layer is not None:
            layers.setdefault(layer, set()).add(name)
    whole = sorted(layer for layer, names in layers.items() if names <= tensors)
    if not whole or set().union(*(layers[layer] for layer in whole)) != tensors:
        return None
    if len(whole) == 1:
        return f"all {len(tensors)} tensors of layer {whole[0]}"
    run = whole == list(range(whole[0], whole[-1] + 1))
    numbers = f"{whole[0]} to {whole[-1]}" if run else ", ".join(map(str, whole))
    return f"all {len(tensors)} tensors of layers {numbers}"


def _by_roles(tensors: set[str], types: Mapping[str, DType]) -> str | None:
    """A few roles, each in all layers or in some of them."""
    roles: dict[str, list[str]] = {}
    for name in sorted(tensors):
        roles.setdefault(parse(name).template, []).append(name)
    if len(roles) > _SHOWN_ROLES:
        totals = Counter(parse(name).template for name in types)
        whole = all(len(names) == totals[template] for template, names in roles.items())
        shown = ", ".join(list(map(_short, roles))[:_SHOWN_ROLES])
        return f"all {len(tensors)} tensors of {len(roles)} roles: {shown} …" if whole else None
    words = []
    for template, names in roles.items():
        total = sum(parse(name).template == template for name in types)
        short = _short(template)
        if len(names) == total:
            words.append(f"all {total} {short}" if total > 1 else names[0])
        else:
            layers = sorted(layer for name in names if (layer := parse(name).layer) is not None)
            numbers = f"layer{'s' if len(layers) > 1 else ''} {', '.join(map(str, layers))}"
            words.append(f"{short} of {numbers}" if layers else ", ".join(names))
    return ", ".join(words)


def _short(template: str) -> str:
    """`k_proj` of `model.layers.{layer}.self_attn.k_proj.weight`; biases keep their ending."""
    parts = template.split(".")
    return parts[-2] if parts[-1] == "weight" and len(parts) > 1 else ".".join(parts[-2:])
