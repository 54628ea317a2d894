"""Causes in the set of tensors and their shapes. A repair pairs tensors that could not be compared before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from aprtui.core.outcomes import Level
from aprtui.diagnose.found import Failure, Found, found_at
from aprtui.diagnose.hypothesis import Context
from aprtui.diagnose.samples import floats, likeness, sample_rows
from aprtui.formats.container import StoredTensor
from aprtui.formats.layout.plan import LayoutPlan, TensorPair
from aprtui.formats.names import parse
from aprtui.formats.views import Reshaped, Sliced, Stored, Transposed, View

_ALIKE = 0.5
_GROUPS = (("attn_q", "attn_k", "attn_v"), ("ffn_gate", "ffn_up"))
_MASKS = ("attn.bias", "attn.masked_bias", "masked_bias")


@dataclass(frozen=True, slots=True)
class StructureRepaired:
    """What the structure level comes to.

    Attributes:
        causes: With the failures that they account for.
        pairs: Pairs that the repairs make comparable.
    """

    causes: tuple[Found, ...]
    pairs: tuple[TensorPair, ...]


def diagnose_structure(plan: LayoutPlan, context: Context) -> StructureRepaired:
    """Name what is wrong with shapes and with the set of tensors."""
    structure = _Structure(plan, context)
    return StructureRepaired(tuple(structure.causes()), tuple(structure.pairs))


class _Structure:
    def __init__(self, plan: LayoutPlan, context: Context) -> None:
        self.plan, self.context = plan, context
        self.pairs: list[TensorPair] = []
        self.missing = dict.fromkeys(plan.missing)
        self.unexpected = {name: context.target.tensors[name] for name in plan.unexpected}

    def causes(self) -> Iterator[Found]:
        yield from _merged(self._shapes())
        yield from self._prefixes()
        yield from _merged(self._fused())
        yield from _merged(self._renamed())
        yield from _merged(self._extra())
        yield from self._lost()

    def _shapes(self) -> Iterator[Found]:
        for pair in self.plan.pairs:
            if pair.source.shape == pair.view.shape or not pair.target.readable:
                continue
            repaired = _reshaped(pair, self.context)
            if repaired is not None:
                code, new, detail = repaired
                self.pairs.append(new)
                yield self._found(code, (pair.name,), detail, self._of_vocabulary(code, pair.name))

    def _of_vocabulary(self, code: str, name: str) -> tuple[Failure, ...]:
        """What else says that the vocabulary has another size."""
        sizes = ((Level.INTEGRITY, "vocab_size"), (Level.METADATA, "vocab_size"), (Level.INTEGRITY, "hidden_size"))
        tied = ((Level.STRUCTURE, "lm_head.weight"), (Level.WEIGHTS, "lm_head.weight"))
        is_embedding = self.context.role(name) == "token_embd.weight"
        of_layers = ((Level.INTEGRITY, "intermediate_size"),) if "dims" in code or "transposed" in code else ()
        return (*((*sizes, *tied) if is_embedding else ()), *of_layers)

    def _found(self, code: str, members: tuple[str, ...], evidence: str, also: tuple[Failure, ...] = ()) -> Found:
        return found_at(Level.STRUCTURE, code, members, evidence, *((Level.WEIGHTS, name) for name in members), *also)

    def _adopt(self, name: str, tensor: StoredTensor, repaired: View | None = None) -> None:
        """Compare a tensor with what it stands for."""
        self.pairs.append(TensorPair(name, self.plan.unpaired[name], tensor, (name,), repaired))
        self.missing.pop(name, None)

    def _prefixes(self) -> Iterator[Found]:
        """Names that differ from the missing ones by what stands in front."""
        matches: dict[str, dict[str, str]] = {}
        for stored in self.unexpected:
            for name in self.missing:
                prefix = _prefix(stored, name, self.context.role(name))
                if prefix is not None and self._fits(name, self.unexpected[stored]):
                    matches.setdefault(prefix, {})[stored] = name
        for prefix, renamed in matches.items():
            if len(renamed) < 2:
                continue
            for stored, name in renamed.items():
                self._adopt(name, self.unexpected.pop(stored))
            also = tuple((Level.STRUCTURE, stored) for stored in renamed)
            words = f"{len(renamed)} names have {prefix!r} in front"
            yield self._found("structure.prefix", tuple(renamed.values()), words, also)

    def _fits(self, name: str, tensor: StoredTensor) -> bool:
        return name in self.plan.unpaired and self.plan.unpaired[name].shape == tensor.shape

    def _fused(self) -> Iterator[Found]:
        """Tensors that hold the rows of several missing ones."""
        roles = {self.context.role(name): name for name in self.missing if name in self.plan.unpaired}
        for stored, tensor in list(self.unexpected.items()):
            layer = parse(stored).indices[:1]
            for group in _GROUPS:
                for ending in ("weight", "bias"):
                    wanted = [roles.get(f"blk.{layer[0]}.{part}.{ending}") for part in group] if layer else []
                    names = [name for name in wanted if name in self.missing]
                    if len(names) == len(group) and self._is_cut(tensor, names):
                        self.unexpected.pop(stored)
                        also = ((Level.STRUCTURE, stored),)
                        yield self._found("structure.left_fused", tuple(names), f"{stored} holds all of them", also)
                        break

    def _is_cut(self, tensor: StoredTensor, names: list[str]) -> bool:
        views = [self.plan.unpaired[name] for name in names]
        rows = [view.shape[0] for view in views]
        if sum(rows) != (tensor.shape or (0,))[0] or any(view.shape[1:] != tensor.shape[1:] for view in views):
            return False
        starts = np.cumsum([0, *rows]).tolist()
        parts = [Sliced(Stored(tensor), start, start + count) for start, count in zip(starts, rows, strict=False)]
        if not _alike(views[0], parts[0]):
            return False
        for name, part in zip(names, parts, strict=True):
            self._adopt(name, tensor, part)
        return True

    def _renamed(self) -> Iterator[Found]:
        """Tensors whose values are those of a missing one."""
        for stored, tensor in list(self.unexpected.items()):
            for name in list(self.missing):
                if tensor.readable and self._fits(name, tensor) and _alike(self.plan.unpaired[name], Stored(tensor)):
                    self._adopt(name, self.unexpected.pop(stored))
                    evidence = f"{name} is stored as {tensor.name}"
                    yield self._found("structure.name", (name,), evidence, ((Level.STRUCTURE, stored),))
                    break

    def _extra(self) -> Iterator[Found]:
        for stored, tensor in self.unexpected.items():
            shape = list(tensor.shape)
            is_mask = stored.endswith(_MASKS) and len(shape) == 4 and shape[:2] == [1, 1]
            code = "structure.mask_buffer" if is_mask else "structure.extra_tensor"
            yield self._found(code, (stored,), f"{stored} of shape {shape}")

    def _lost(self) -> Iterator[Found]:
        """Missing tensors, whole layers and whole roles first."""
        names = list(self.missing)
        layers = {name: index for name in names if (index := parse(name).layer) is not None}
        held = {index for name in self.context.target.tensors if (index := parse(name).layer) is not None}
        whole = [name for name, index in layers.items() if index not in held]
        if whole:
            counts = sorted({layers[name] for name in whole})
            words = f"layers {counts[0]} to {counts[-1]} are" if counts[1:] else f"layer {counts[0]} is"
            sizes = ((Level.INTEGRITY, "num_hidden_layers"),)
            yield self._found("structure.layers_missing", tuple(whole), f"{words} missing", sizes)
        left = [name for name in names if name not in whole]
        groups: dict[str, list[str]] = {}
        for name in left:
            groups.setdefault(_lost_code(self.context.role(name)), []).append(name)
        for code, members in groups.items():
            yield self._found(code, tuple(members), f"{members[0]} is missing")


def _lost_code(role: str) -> str:
    if role.startswith("blk.") and role.endswith(("attn_q.bias", "attn_k.bias", "attn_v.bias", "attn_qkv.bias")):
        return "structure.biases_missing"
    if role.endswith(("attn_q_norm.weight", "attn_k_norm.weight")):
        return "structure.qk_norms_missing"
    return "structure.head_missing" if role == "output.weight" else "structure.tensor_missing"


def _prefix(stored: str, name: str, role: str) -> str | None:
    for wanted in (name, role):
        if stored != wanted and stored.endswith(f".{wanted}"):
            return stored.removesuffix(wanted)
    return None


def _alike(a: View, b: View) -> bool:
    rows = sample_rows(a)
    return likeness(floats(a, rows), floats(b, rows)) >= _ALIKE


def _reshaped(pair: TensorPair, context: Context) -> tuple[str, TensorPair, str] | None:
    """A pair of other shapes, made comparable: the code, the pair, the evidence."""
    source, found, tensor = pair.source.shape, pair.view.shape, pair.target
    detail = f"{list(found)} where {list(source)} belongs"
    same = pair.source.elements == pair.view.elements
    if same and _block_fits(tensor, source):
        declared = Stored(replace(tensor, shape=source))
        if _alike(pair.source, declared):
            code = "structure.dims_reversed" if found == source[::-1] and len(found) > 1 else "structure.reshaped"
            return code, replace(pair, repaired=declared), f"{detail}, the same bytes"
    if found == source[::-1] and len(found) == 2:
        across = Transposed(pair.view)
        if _alike(pair.source, across):
            return "structure.transposed", replace(pair, repaired=across), f"{detail}, columns as rows"
    if same:
        other = Reshaped(pair.view, source)
        return ("structure.reshaped", replace(pair, repaired=other), detail) if _alike(pair.source, other) else None
    if len(source) != len(found) or source[1:] != found[1:] or not source:
        return None
    common = min(source[0], found[0])
    vocabulary = context.role(pair.name) in ("token_embd.weight", "output.weight")
    code = "structure.rows_missing"
    if vocabulary:
        code = "structure.vocabulary_cut" if found[0] < source[0] else "structure.vocabulary_padded"
    cut = replace(pair, source=Sliced(pair.source, 0, common), repaired=Sliced(pair.view, 0, common))
    return (code, cut, f"{found[0]} rows where {source[0]} belong") if _alike(cut.source, cut.view) else None


def _block_fits(tensor: StoredTensor, shape: tuple[int, ...]) -> bool:
    """Whether the bytes can be declared with this shape."""
    block = tensor.dtype.info.block
    columns = shape[-1] if shape else 1
    return columns % block == 0 and not tensor.padded_rows


def _merged(founds: Iterator[Found]) -> Iterator[Found]:
    """Causes of one code as one."""
    merged: dict[str, Found] = {}
    for found in founds:
        known = merged.get(found.code, replace(found, members=(), accounts_for=frozenset()))
        members = (*known.members, *found.members)
        merged[found.code] = replace(known, members=members, accounts_for=known.accounts_for | found.accounts_for)
    yield from merged.values()
