"""The search of one tensor: all hypotheses in the order of their cost, on samples; what holds there is a candidate.

A tensor is explained by up to three things at once: how its bytes must be read, where its elements come from, and what
happened to their values. The first two show as a likeness even where the third is not known yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from aprtui.core.dtypes import DType
from aprtui.core.results import TensorResult
from aprtui.diagnose.arrangements import CODES as ARRANGEMENTS
from aprtui.diagnose.arrangements import arrangements, encoded_flat, transpositions
from aprtui.diagnose.blocks import damaged_part
from aprtui.diagnose.hypothesis import Candidate, Context, Explanation, Step, recipe_of
from aprtui.diagnose.origins import origins
from aprtui.diagnose.parts import emptied, few, masked, survey
from aprtui.diagnose.permuted import moved_columns, moved_rows
from aprtui.diagnose.readings import CODES as READINGS
from aprtui.diagnose.readings import readings
from aprtui.diagnose.samples import Floats, floats, likeness, passes_on, sample_rows
from aprtui.diagnose.values import value_hypotheses
from aprtui.formats.codecs import ENCODABLE
from aprtui.formats.layout.plan import TensorPair
from aprtui.formats.views import View
from aprtui.formats.views.base import Indices

_ALIKE = 0.5
_VERY_ALIKE = 0.9
_NOT_DECODED = (DType.F64, DType.C64)
_RECIPES_TRIED = 4
_LIKELY_TRIED = 3
_SURVEYED_ELEMENTS = 1 << 28


def explanations(pair: TensorPair, result: TensorResult, context: Context) -> Iterator[Explanation]:
    """Explanations of a failing tensor that hold on a sample, most likely first; each must still be proved.

    Args:
        pair: The pair that failed.
        result: What was measured of it.
        context: Shared by all tensors; its recipes are tried first.
    """
    if pair.source.dtype in _NOT_DECODED or pair.view.dtype in _NOT_DECODED or not pair.source.elements:
        return
    small = few(result.record, result.tolerance)
    search = _Search(pair, _rows_to_look_at(pair, result), context)
    if small is None and not search.is_constant:
        yield from search.by_recipe()
        if search.is_alike:
            yield from search.with_values()
        yield from search.in_place()
        yield from search.of_blocks()
        yield from search.encoded_again()
        yield from search.with_values()
    elif small is None or small.code == "weights.blocks_zeroed":
        yield from search.of_blocks()
    yield from search.by_survey()
    if small is not None:
        yield Explanation((small,), pair.source, pair.view, result.record)
        return
    yield from search.combined()
    yield from search.with_values()


def _rows_to_look_at(pair: TensorPair, result: TensorResult) -> Indices:
    """A sample with the worst element, and the first block that its certificate refuses."""
    rows, facts = sample_rows(pair.source, result.record.max_abs_index), result.record.certificate
    if facts is None or facts.first_violation < 0:
        return rows
    row = facts.first_violation * pair.view.dtype.info.block // pair.view.columns
    return np.union1d(rows, [min(row, pair.source.rows - 1)]).astype(np.int64)


@dataclass(frozen=True, slots=True)
class _Likely:
    """A combination whose values resemble the product's."""

    read: Candidate
    arranged: Candidate
    alike: float


class _Search:
    def __init__(self, pair: TensorPair, rows: Indices, context: Context) -> None:
        self.pair, self.rows, self.context = pair, rows, context
        self.as_is, self.own = Candidate((), pair.view), Candidate((), pair.source)
        self.target = floats(pair.view, rows)
        # Vectors of ones have no likeness to anything, and still may be off by one.
        alike = max(_ALIKE, abs(likeness(floats(pair.source, rows), self.target)))
        self.likely = [_Likely(self.as_is, self.own, alike)]

    @property
    def is_constant(self) -> bool:
        """Whether the product's sample holds one value."""
        return bool((self.target == self.target.flat[0]).all())

    @property
    def is_alike(self) -> bool:
        """Whether the product resembles the source as it is."""
        return bool(self.likely) and not self.likely[0].arranged.steps and self.likely[0].alike >= _VERY_ALIKE

    def by_recipe(self) -> Iterator[Explanation]:
        """What explained another tensor."""
        for recipe in self.context.recipes[:_RECIPES_TRIED]:
            left = set(recipe)
            if self.is_alike:
                # Elements are in their places: only values can be wrong.
                yield from self._edited(self.likely[0], left)
                continue
            codes = {code for code, _ in recipe}
            read = _first(readings(self.pair, self.context), left) if codes & READINGS else None
            arranged = _first(self._ordered(), left) if codes & ARRANGEMENTS else None
            read, arranged = read or self.as_is, arranged or self.own
            if not left and recipe:
                yield from self._proved_on_sample(read, arranged)
            elif read.steps or arranged.steps:
                yield from self._edited(_Likely(read, arranged, 1.0), left)

    def _ordered(self) -> Iterator[Candidate]:
        yield from arrangements(self.pair, self.context)
        yield from transpositions(self.pair, self.context)

    def in_place(self) -> Iterator[Explanation]:
        """The bytes as they are in another order, of another tensor, or the right ones read otherwise."""
        for arranged in chain(self._transposed(), arrangements(self.pair, self.context)):
            yield from self._tried(self.as_is, arranged)
        for arranged in origins(self.pair, self.context):
            yield from self._tried(self.as_is, arranged)
        for read in readings(self.pair, self.context):
            yield from self._tried(read, self.own)
        flat = encoded_flat(self.pair)
        if flat is not None:
            yield Explanation((Step("weights.blocks_encoded_flat"),), *flat)

    def of_blocks(self) -> Iterator[Explanation]:
        """A part of every block that is not an honest encoder's."""
        found = damaged_part(self.pair, self.rows)
        if found is not None:
            yield Explanation((found.step,), self.pair.source, found.repaired)

    def encoded_again(self) -> Iterator[Explanation]:
        """Blocks that were decoded, put into another order, and encoded again (RC-14)."""
        dtype = self.pair.view.dtype
        steps = [likely.arranged.steps for likely in self.likely if likely.arranged.steps and not likely.read.steps]
        if dtype not in ENCODABLE or dtype.info.block == 1 or not steps:
            return
        context = self.context.through(dtype)
        pair = TensorPair(
            self.pair.name, context.expected[self.pair.name], self.pair.target, self.pair.uses, self.pair.view
        )
        for arranged in chain(transpositions(pair, context), arrangements(pair, context)):
            if arranged.steps in steps:
                again = replace(arranged.steps[-1], detail=f"{arranged.steps[-1].detail} (encoded again)".strip())
                yield Explanation((*arranged.steps[:-1], again), arranged.view, self.pair.view)

    def with_values(self) -> Iterator[Explanation]:
        """What resembles the product, with other values."""
        ranked = sorted(self.likely, key=lambda item: -abs(item.alike))
        self.likely = []
        for likely in ranked[:_LIKELY_TRIED]:
            yield from self._edited(likely)

    def by_survey(self) -> Iterator[Explanation]:
        """Damage of a part of the elements, seen by reading both sides once."""
        if self.pair.source.elements > _SURVEYED_ELEMENTS and not self.is_constant:
            return
        found = survey(self.pair)
        empty = emptied(found)
        if empty is not None:
            yield Explanation((empty,), self.pair.view, self.pair.view)
            return
        moved = moved_rows(self.pair, found.differing_rows) or moved_columns(self.pair)
        for step, view in [*([moved] if moved else []), *masked(self.pair, found)]:
            yield Explanation((step,), view, self.pair.view)

    def combined(self) -> Iterator[Explanation]:
        """Every reading with every order and every origin."""
        for read in readings(self.pair, self.context):
            if read.steps[0].code == "weights.data_offset":
                continue
            for arranged in chain(arrangements(self.pair, self.context), origins(self.pair, self.context)):
                yield from self._tried(read, arranged)

    def _transposed(self) -> Iterator[Candidate]:
        """Transpositions that single elements speak for; reading whole rows of one reads the whole matrix."""
        for arranged in transpositions(self.pair, self.context):
            source, target = _across(self.pair, arranged)
            if abs(likeness(source, target)) >= _ALIKE:
                yield arranged

    def _tried(self, read: Candidate, arranged: Candidate) -> Iterator[Explanation]:
        if read.view.shape != arranged.view.shape:
            return
        target = self.target if read is self.as_is else floats(read.view, self.rows)
        alike = likeness(floats(arranged.view, self.rows), target)
        known = self.context.likeness
        known[self.pair.name] = max(abs(alike), known.get(self.pair.name, 0.0))
        if abs(alike) >= _ALIKE:
            self.likely.append(_Likely(read, arranged, alike))
            yield from self._proved_on_sample(read, arranged)

    def _proved_on_sample(self, read: Candidate, arranged: Candidate) -> Iterator[Explanation]:
        found = Explanation((*arranged.steps, *read.steps), arranged.view, read.view)
        if passes_on(found.pair(self.pair), self.rows, importance_matrix=self.context.importance_matrix):
            yield found

    def _edited(self, likely: _Likely, wanted: set[tuple[str, str]] | None = None) -> Iterator[Explanation]:
        """A combination with other values; `wanted` keeps to those steps."""
        view, read = likely.arranged.view, likely.read
        pair = TensorPair(self.pair.name, view, self.pair.target, self.pair.uses, read.view)
        sample = self.rows, floats(view, self.rows), floats(read.view, self.rows)
        for step, edited in value_hypotheses(view, pair, sample, self.context):
            if wanted is not None and set(recipe_of((step,))) != wanted:
                continue
            found = Explanation((*likely.arranged.steps, step, *read.steps), edited, read.view)
            if passes_on(found.pair(self.pair), self.rows, importance_matrix=self.context.importance_matrix):
                yield found


def _first(candidates: Iterable[Candidate], wanted: set[tuple[str, str]]) -> Candidate | None:
    """The first candidate whose steps are wanted; they are then no longer."""
    for candidate in candidates:
        steps = set(recipe_of(candidate.steps))
        if steps <= wanted:
            wanted -= steps
            return candidate
    return None


_ACROSS_ROWS = 4
_ACROSS_COLUMNS = 48


def _across(pair: TensorPair, arranged: Candidate) -> tuple[Floats, Floats]:
    """Single elements of the source, and those of the product that a transposition puts in their place."""
    view: View = pair.source
    rows, columns = view.shape
    random = np.random.default_rng(rows * columns)
    source_rows = np.sort(random.integers(0, rows, _ACROSS_ROWS)).astype(np.int64)
    source_columns = np.sort(random.integers(0, columns, _ACROSS_COLUMNS)).astype(np.int64)
    values = floats(view, source_rows)[:, source_columns]
    if arranged.steps[0].code == "weights.columns_as_rows":
        # The flat source cut into [columns, rows] and transposed: element k moves to row k % rows, column k // rows.
        flat = (source_rows[:, None] * columns + source_columns).ravel()
        places = (flat % rows) * columns + flat // rows
    else:
        places = (source_columns[None, :] * rows + source_rows[:, None]).ravel()
    target_rows, inverse = np.unique(places // columns, return_inverse=True)
    found = floats(pair.view, target_rows.astype(np.int64))
    return values.ravel(), found[inverse.ravel(), places % columns]
