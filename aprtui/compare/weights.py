"""The weights level: every element of every tensor, read once, judged under the tolerance of its conversion."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from math import lcm
from threading import Lock

import numpy as np

from aprtui.compare.certificate import Certifier
from aprtui.compare.kernels import Accumulator, finish, merge, new_accumulator
from aprtui.core.dtypes import DType
from aprtui.core.findings import Finding, LevelResult, judge_level
from aprtui.core.outcomes import Level, Outcome
from aprtui.core.results import TensorResult, tolerance_findings
from aprtui.core.statistics import StatisticsRecord
from aprtui.core.tolerance import (
    OWN_RULES,
    Rule,
    Tolerance,
    ToleranceSettings,
    generated_tolerance,
    judge,
    tolerance_for,
    with_settings,
)
from aprtui.formats.chunk import Chunk
from aprtui.formats.codecs import decode_chunk
from aprtui.formats.layout.plan import LayoutPlan, TensorPair
from aprtui.formats.layout.rope_tensors import ROPE_FREQUENCIES
from aprtui.formats.views import Computed, Stored, View

CHUNK_ELEMENTS = 1 << 20
"""Elements that one step reads: 4 MiB of float32, whatever the size of the tensor."""

Progress = Callable[[int, int, str], None]

Measured = Callable[[TensorResult], None]

SEGMENT_ELEMENTS = 1 << 24
"""Elements of a tensor that one worker measures before its mapped pages are given back to the system."""

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Partial:
    """What was measured of one segment of a tensor; segments add up in their order."""

    accumulator: Accumulator
    certifier: Certifier | None


def compare_weights(
    plan: LayoutPlan,
    *,
    jobs: int = 1,
    progress: Progress | None = None,
    settings: ToleranceSettings = OWN_RULES,
    measured: Measured | None = None,
) -> tuple[TensorResult, ...]:
    """Measure and judge every pair whose bytes can be read and whose shapes agree.

    Args:
        plan: The pairs.
        jobs: Threads; results do not depend on it.
        progress: Told at the start and after each segment of a tensor: bytes so far, bytes in all, name.
        settings: Tolerances of the playbook in place of the rules' own.
        measured: Told of each tensor once it is judged, in the order of the plan.
    """
    pairs = [pair for pair in plan.pairs if reason_not_compared(pair) is None]
    imatrix = plan.conversion.importance_matrix
    total = sum(_bytes_of(pair) for pair in pairs)
    done, lock = 0.0, Lock()

    def one(pair: TensorPair, segment: Span) -> Partial:
        nonlocal done
        partial = measure_segment(pair, segment, importance_matrix=imatrix)
        with lock:
            done += _bytes_of(pair) * (segment[1] - segment[0]) / max(1, pair.target.elements)
            if progress:
                progress(round(done), total, pair.name)
        return partial

    if progress:
        progress(0, total, "")
    with ThreadPoolExecutor(jobs) as pool:
        waiting = [
            (pair, [pool.submit(one, pair, segment) for segment in segments(pair.source, pair.view)]) for pair in pairs
        ]
        try:
            results = []
            for pair, futures in waiting:
                results.append(tensor_result(pair, [future.result() for future in futures], settings))
                if measured:
                    measured(results[-1])
            return tuple(results)
        except BaseException:
            # An error or Ctrl-C must not wait for the rest of the model.
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def tensor_result(pair: TensorPair, partials: Sequence[Partial], settings: ToleranceSettings) -> TensorResult:
    """The judged result of a pair from its segments in order."""
    tolerance = with_settings(tolerance_of(pair), settings)
    record = combine(pair.view.dtype, partials)
    return TensorResult(
        name=pair.name,
        layout=pair.layout,
        source_dtype=_stored_dtype(pair.source),
        target_dtype=pair.view.dtype,
        shape=pair.view.shape,
        nbytes=_bytes_of(pair),
        record=record,
        tolerance=tolerance,
        judgement=judge(record, tolerance),
    )


def tolerance_of(pair: TensorPair) -> Tolerance:
    """What a pair is allowed: by its conversion, or by the formula that it is computed with."""
    if isinstance(pair.source, Computed) and pair.name == ROPE_FREQUENCIES:
        return generated_tolerance(pair.view.dtype)
    return tolerance_for(pair.source.dtype, pair.view.dtype)


def measure_pair(pair: TensorPair, *, importance_matrix: bool = False) -> StatisticsRecord:
    """The statistics record of one pair, measured in this thread."""
    partials = [
        measure_segment(pair, segment, importance_matrix=importance_matrix)
        for segment in segments(pair.source, pair.view)
    ]
    return combine(pair.view.dtype, partials)


def measure_segment(pair: TensorPair, segment: Span, *, importance_matrix: bool) -> Partial:
    """Measure elements [start, stop) of a pair, and certify them where the conversion calls for it.

    Args:
        pair: Views of one shape.
        segment: From `segments`.
        importance_matrix: The target's file says that one was used.
    """
    source, target = pair.source, pair.view
    certified = tolerance_for(source.dtype, target.dtype).rule is Rule.CERTIFICATE
    accumulator = new_accumulator(target.dtype)
    certifier = Certifier(target.dtype, importance_matrix=importance_matrix) if certified else None
    for start, stop in spans(source, target, segment):
        a, b = side_by_side(source.read(start, stop), target.read(start, stop))
        accumulator.update(a, b, start)
        if certifier is not None:
            values = np.asarray(decode_chunk(a), np.float32).reshape(b.rows, b.columns)
            certifier.update(values, b)
    source.release()
    target.release()
    return Partial(accumulator, certifier)


def combine(dtype: DType, partials: Sequence[Partial]) -> StatisticsRecord:
    """The record of a tensor from its segments in order; a tensor without elements has none."""
    certifier = whole_certifier(dtype, partials)
    states = [partial.accumulator.state for partial in partials]
    return finish(merge(states), None if certifier is None else certifier.result())


def whole_certifier(dtype: DType, partials: Sequence[Partial]) -> Certifier | None:
    """The certificate of a tensor from its segments in order; None where it is not certified."""
    certifiers = [partial.certifier for partial in partials if partial.certifier is not None]
    if not certifiers:
        return None
    whole = Certifier(dtype, importance_matrix=certifiers[0].importance_matrix)
    for certifier in certifiers:
        whole.absorb(certifier)
    return whole


def segments(source: View, target: View) -> Iterator[Span]:
    """Element ranges that workers measure on their own: fixed cuts, so that results never depend on the workers."""
    step = _step(source, target)
    length = max(1, SEGMENT_ELEMENTS // step) * step
    for start in range(0, target.elements, length):
        yield start, min(start + length, target.elements)


def spans(source: View, target: View, segment: Span) -> Iterator[Span]:
    """Element ranges of a segment that are read at once."""
    step = _step(source, target)
    for start in range(segment[0], segment[1], step):
        yield start, min(start + step, segment[1])


def _step(source: View, target: View) -> int:
    """Elements per read: about `CHUNK_ELEMENTS`, and whole granules of both views."""
    step = lcm(source.granule, target.granule, 256)
    return step * max(1, CHUNK_ELEMENTS // step)


def reason_not_compared(pair: TensorPair) -> str | None:
    """Why the elements of a pair cannot be compared; None where they can."""
    if not pair.target.readable:
        return "the target's bytes are not in its file"
    if DType.C64 in (pair.source.dtype, pair.view.dtype):
        return "complex numbers cannot be compared"
    if pair.source.shape != pair.view.shape:
        return f"shapes differ: {list(pair.source.shape)} and {list(pair.view.shape)}"
    if any(not tensor.tensor.readable for tensor in stored_below(pair.source)):
        return "the source's bytes are not in its file"
    return None


def stored_below(view: View) -> Iterator[Stored]:
    """The stored tensors that a view reads."""
    if isinstance(view, Stored):
        yield view
    for below in view.below:
        yield from stored_below(below)


def weights_level(plan: LayoutPlan, results: tuple[TensorResult, ...], more: Sequence[Finding] = ()) -> LevelResult:
    """The level's verdict from the tensors' verdicts and further findings."""
    findings = [*tolerance_findings(results), *more]
    for pair in plan.pairs:
        reason = reason_not_compared(pair)
        if reason is not None:
            findings.append(Finding(Level.WEIGHTS, pair.name, f"not compared: {reason}"))
    level = judge_level(Level.WEIGHTS, findings, checked=len(results), not_checked=tuple(_weights_not_checked(plan)))
    if plan.no_rule and level.outcome is Outcome.CORROBORATED:
        # Rows that are equal as stored prove nothing where the other format may want them in another order.
        return replace(level, outcome=Outcome.SKIPPED)
    return level


def _weights_not_checked(plan: LayoutPlan) -> Iterator[str]:
    if plan.no_rule:
        yield plan.no_rule
    alone = {
        "missing in the target": plan.missing,
        "in the target only": plan.unexpected,
        "whose layout rule does not fit": tuple(plan.impossible),
    }
    for what, names in alone.items():
        if names:
            yield f"weights of {len(names)} tensors {what}, {names[0]} first"


def side_by_side(a: Chunk, b: Chunk) -> tuple[Chunk, Chunk]:
    """Both chunks with the same rows and columns; a side without padding is cut to the other's rows."""
    if (a.rows, a.columns) == (b.rows, b.columns):
        return a, b
    if a.rows == 1 and b.columns % a.dtype.info.block == 0:
        return _cut(a, b.rows, b.columns), b
    if b.rows == 1 and a.columns % b.dtype.info.block == 0:
        return a, _cut(b, a.rows, a.columns)
    return _as_one_row(a), _as_one_row(b)


def _as_one_row(chunk: Chunk) -> Chunk:
    """The chunk as one run of elements; blocks that start anew with each row are decoded, others run on as they are."""
    if chunk.rows == 1 or chunk.dtype.info.block == 1 or chunk.dtype.info.flat:
        return _cut(chunk, 1, chunk.elements)
    values = np.ascontiguousarray(decode_chunk(chunk), np.float32).reshape(-1)
    return Chunk(DType.F32, values.view(np.uint8), 1, chunk.elements, 4 * chunk.elements)


def _cut(chunk: Chunk, rows: int, columns: int) -> Chunk:
    info = chunk.dtype.info
    row_bytes = columns // info.block * info.nbytes if columns % info.block == 0 else 0
    return replace(chunk, rows=rows, columns=columns, row_bytes=row_bytes)


def _stored_dtype(view: View) -> DType:
    return next((stored.dtype for stored in stored_below(view)), view.dtype)


def _bytes_of(pair: TensorPair) -> int:
    return pair.target.nbytes + sum(stored.tensor.nbytes for stored in stored_below(pair.source))
