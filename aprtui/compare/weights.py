"""The weights level: every element of every tensor, read once, judged under the tolerance of its conversion."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from math import lcm
from threading import Lock

import numpy as np

from aprtui.compare.certificate import Certifier
from aprtui.compare.kernels import new_accumulator
from aprtui.core.dtypes import DType
from aprtui.core.findings import Finding, LevelResult, judge_level
from aprtui.core.outcomes import Level
from aprtui.core.results import TensorResult
from aprtui.core.statistics import StatisticsRecord
from aprtui.core.tolerance import Rule, judge, tolerance_for
from aprtui.formats.bytes import release_pages
from aprtui.formats.chunk import Chunk
from aprtui.formats.codecs import decode_chunk
from aprtui.formats.layout.plan import LayoutPlan, TensorPair
from aprtui.formats.views import Stored, View

CHUNK_ELEMENTS = 1 << 20
"""Elements that one step reads: 4 MiB of float32, whatever the size of the tensor."""

Progress = Callable[[int, int, str], None]

RELEASE_AFTER = 1 << 26
"""Bytes that are read before their mapped pages are given back to the system."""


def compare_weights(plan: LayoutPlan, *, jobs: int = 1, progress: Progress | None = None) -> tuple[TensorResult, ...]:
    """Measure and judge every pair whose bytes can be read and whose shapes agree.

    Args:
        plan: The pairs.
        jobs: Threads; results do not depend on it.
        progress: Told after each tensor: bytes so far, bytes in all, name.
    """
    pairs = [pair for pair in plan.pairs if reason_not_compared(pair) is None]
    total = sum(_bytes_of(pair) for pair in pairs)
    done, lock = 0, Lock()

    def one(pair: TensorPair) -> TensorResult:
        nonlocal done
        result = compare_pair(pair, importance_matrix=plan.conversion.importance_matrix)
        with lock:
            done += result.nbytes
            if progress:
                progress(done, total, pair.name)
        return result

    if jobs == 1:
        return tuple(one(pair) for pair in pairs)
    with ThreadPoolExecutor(jobs) as pool:
        largest_first = sorted(pairs, key=_bytes_of, reverse=True)
        results = {result.name: result for result in pool.map(one, largest_first)}
    return tuple(results[pair.name] for pair in pairs)


def compare_pair(pair: TensorPair, *, importance_matrix: bool = False) -> TensorResult:
    """Measure and judge one pair."""
    target = Stored(pair.target)
    tolerance = tolerance_for(pair.source.dtype, pair.target.dtype)
    certify = tolerance.rule is Rule.CERTIFICATE
    record = measure(pair.source, target, certify=certify, importance_matrix=importance_matrix)
    return TensorResult(
        name=pair.name,
        layout=pair.layout,
        source_dtype=_stored_dtype(pair.source),
        target_dtype=pair.target.dtype,
        shape=pair.target.shape,
        nbytes=_bytes_of(pair),
        record=record,
        tolerance=tolerance,
        judgement=judge(record, tolerance),
    )


def measure(
    source: View, target: Stored, *, certify: bool = False, importance_matrix: bool = False
) -> StatisticsRecord:
    """The statistics record of a target against a view of its source.

    Args:
        source: Same number of elements as the target.
        target: A stored tensor.
        certify: Run the certificate too.
        importance_matrix: The target's file says that one was used.
    """
    accumulator = new_accumulator(target.dtype)
    certifier = Certifier(target.dtype, importance_matrix=importance_matrix) if certify else None
    stored = (*stored_below(source), target)
    mapped = 0
    for start, stop in spans(source, target):
        a, b = _side_by_side(source.read(start, stop), target.read(start, stop))
        accumulator.update(a, b, start)
        if certifier is not None:
            values = np.asarray(decode_chunk(a), np.float32).reshape(b.rows, b.columns)
            certifier.update(values, b)
        mapped += a.data.nbytes + b.data.nbytes
        if mapped > RELEASE_AFTER or stop == target.elements:
            mapped = 0
            for leaf in stored:
                release_pages(leaf.tensor)
    record = accumulator.record()
    return record if certifier is None else replace(record, certificate=certifier.result())


def spans(source: View, target: View) -> Iterator[tuple[int, int]]:
    """Element ranges that both views can read, in order."""
    total = target.elements
    step = lcm(source.granule, target.granule, 256)
    step *= max(1, CHUNK_ELEMENTS // step)
    for start in range(0, total, step):
        yield start, min(start + step, total)


def reason_not_compared(pair: TensorPair) -> str | None:
    """Why the elements of a pair cannot be compared; None where they can."""
    if not pair.target.readable:
        return "the target's bytes are not in its file"
    if pair.source.shape != pair.target.shape:
        return f"shapes differ: {list(pair.source.shape)} and {list(pair.target.shape)}"
    if any(not tensor.tensor.readable for tensor in stored_below(pair.source)):
        return "the source's bytes are not in its file"
    return None


def stored_below(view: View) -> Iterator[Stored]:
    """The stored tensors that a view reads."""
    if isinstance(view, Stored):
        yield view
    for below in view.below:
        yield from stored_below(below)


def weights_level(plan: LayoutPlan, results: tuple[TensorResult, ...]) -> LevelResult:
    """The level's verdict from the tensors' verdicts."""
    findings = [
        Finding(
            Level.WEIGHTS,
            result.name,
            f"outside its tolerance ({result.tolerance.rule})",
            expected=result.tolerance.origin,
            found=result.judgement.sentence,
        )
        for result in sorted(results, key=lambda result: result.rank)
        if not result.judgement.passed
    ]
    for pair in plan.pairs:
        reason = reason_not_compared(pair)
        if reason is not None:
            findings.append(Finding(Level.WEIGHTS, pair.name, f"not compared: {reason}"))
    not_checked = (plan.no_rule,) if plan.no_rule else ()
    return judge_level(Level.WEIGHTS, findings, checked=len(results), not_checked=not_checked)


def _side_by_side(a: Chunk, b: Chunk) -> tuple[Chunk, Chunk]:
    """Both chunks with the same rows and columns; a side without padding is cut to the other's rows."""
    if (a.rows, a.columns) == (b.rows, b.columns):
        return a, b
    if a.rows == 1:
        return _cut(a, b.rows, b.columns), b
    if b.rows == 1:
        return a, _cut(b, a.rows, a.columns)
    return _cut(a, 1, a.elements), _cut(b, 1, b.elements)


def _cut(chunk: Chunk, rows: int, columns: int) -> Chunk:
    info = chunk.dtype.info
    row_bytes = columns // info.block * info.nbytes if columns % info.block == 0 else 0
    return replace(chunk, rows=rows, columns=columns, row_bytes=row_bytes)


def _stored_dtype(view: View) -> DType:
    return next((stored.dtype for stored in stored_below(view)), view.dtype)


def _bytes_of(pair: TensorPair) -> int:
    return pair.target.nbytes + sum(stored.tensor.nbytes for stored in stored_below(pair.source))
