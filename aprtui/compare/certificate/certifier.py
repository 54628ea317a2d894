"""The certificate of one tensor, taken chunk by chunk, and the decisions that belong to the whole tensor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aprtui.compare.certificate.blocks import cut_into_blocks
from aprtui.compare.certificate.implementation import measure_blocks_of
from aprtui.compare.certificate.measures import BlockFlags, BlockMeasures, ClauseMeasures, Flags
from aprtui.compare.certificate.tally import ClauseTally, Count, first_of
from aprtui.compare.certificate.types import CERTIFICATE_TYPES
from aprtui.compare.certificate.whole_tensor import ScaleOfTensor, measure_rows
from aprtui.core.dtypes import DType
from aprtui.core.errors import UsageError
from aprtui.core.statistics import CertificateScalars
from aprtui.formats.chunk import Chunk
from aprtui.formats.codecs.block_layout import BlockLayout, get_codes, put_codes

EXCUSED_SHARE = 0.05
"""Share of blocks whose error unknown importance weights may take over the bound of clause b2 (at least one)."""


def is_certified(dtype: DType) -> bool:
    """Whether the certificate covers a type; others are judged by error bands."""
    return dtype in CERTIFICATE_TYPES or dtype is DType.APR_Q8


def _with_zeros_at_end(layout: BlockLayout, raw: NDArray[np.uint8], elements: int) -> NDArray[np.uint8]:
    """Blocks of which the last holds only some elements, with codes of zero for the others, as the source is padded.

    apr leaves those bits zero, which is its lowest code; no value is read from them.
    """
    raw = raw.copy()
    codes = get_codes(layout, raw[-1:])
    codes[:, elements:] = np.flatnonzero(layout.levels == 0)[0]
    put_codes(layout, raw[-1:], codes)
    return raw


class Certifier:
    """Certifies one tensor; feed it chunks in order, then ask for the result.

    The clauses for encodings without an importance matrix are tried first. Where the file says that one was used
    and they fail, the clauses with unknown weights decide, and the result says so.

    Attributes:
        importance_matrix: As given.

    Args:
        dtype: Stored type of the tensor.
        importance_matrix: The file declares an importance matrix (`quantize.imatrix.*`).
        compiled: Use the compiled kernels; by default if numba can be imported.

    Raises:
        UsageError: The certificate does not cover the type.
    """

    def __init__(self, dtype: DType, *, importance_matrix: bool = False, compiled: bool | None = None) -> None:
        if not is_certified(dtype):
            raise UsageError(f"{dtype} has no certificate", todo="judge it by its error bands")
        self.importance_matrix = importance_matrix
        self._dtype = dtype
        self._kind = CERTIFICATE_TYPES.get(dtype)
        self._weights = importance_matrix and self._kind is not None and self._kind.takes_weights
        self._measure = measure_blocks_of(compiled=compiled)
        self._tensor_scale = ScaleOfTensor()
        self._plain, self._weighted = ClauseTally(), ClauseTally()
        self._blocks = self._clipped = self._zero_scales = self._subnormal_scales = 0

    def update(self, source: NDArray[np.float32], target: Chunk) -> BlockMeasures:
        """Measure the next rows.

        Args:
            source: float32 [rows, columns]; what the rows should hold.
            target: The same rows as stored. Chunks of flat types end on whole blocks, but for the last one.

        Returns:
            What the clauses say of each block; see `flags`.

        Raises:
            ValueError: The chunk is of another type, or has another size than the source.
        """
        if target.dtype is not self._dtype or source.shape != (target.rows, target.columns):
            raise ValueError(f"{target.dtype} {target.rows} x {target.columns} against {self._dtype} {source.shape}")
        measures = self._measures(source, target)
        self._plain.add(measures.plain, self._blocks)
        if measures.weighted is not None:
            self._weighted.add(measures.weighted, self._blocks)
        self._blocks += len(measures.zero_scale)
        self._clipped += int(measures.clipped.sum())
        self._zero_scales += int(np.count_nonzero(measures.zero_scale))
        self._subnormal_scales += int(np.count_nonzero(measures.subnormal_scale))
        return measures

    def absorb(self, later: Certifier) -> None:
        """Take in the certificate of the span that follows the chunks seen so far.

        Args:
            later: Fed with the next chunks of the same tensor, by whichever worker.
        """
        if later._blocks:
            self._tensor_scale.absorb(later._tensor_scale)
        self._plain.absorb(later._plain, self._blocks)
        self._weighted.absorb(later._weighted, self._blocks)
        self._blocks += later._blocks
        self._clipped += later._clipped
        self._zero_scales += later._zero_scales
        self._subnormal_scales += later._subnormal_scales

    def _measures(self, source: NDArray[np.float32], target: Chunk) -> BlockMeasures:
        if self._kind is None:
            self._tensor_scale.add(source, target.scale)
            return measure_rows(source, target.data.view(np.int8).reshape(source.shape), target.scale)
        layout = self._kind.layout
        blocks = cut_into_blocks(source, layout.block, flat=self._dtype.info.flat)
        raw = target.data.reshape(-1, layout.nbytes)
        if len(raw) != len(blocks):
            raise ValueError(f"{len(raw)} blocks stored, {len(blocks)} expected")
        if self._dtype is DType.APR_Q4 and source.size % layout.block:
            raw = _with_zeros_at_end(layout, raw, source.size % layout.block)
        return self._measure(self._kind, blocks, raw, importance_matrix=self._weights)

    def flags(self, measures: BlockMeasures) -> BlockFlags:
        """The verdict on each block of a chunk, under the decisions for the chunks seen so far.

        Args:
            measures: What `update` returned for the chunk.
        """
        clauses = self.deciding(measures)
        zeros, scales = clauses.zeros, self._scale_flags(clauses)
        if self._kind is None:
            zeros = zeros | self._tensor_scale.false_zero
        return BlockFlags(clauses.codes, scales, zeros)

    def deciding(self, measures: BlockMeasures) -> ClauseMeasures:
        """Of the clauses with and without an importance matrix those that decide, under the chunks seen so far."""
        return measures.weighted if self._unknown_weights and measures.weighted is not None else measures.plain

    def _scale_flags(self, clauses: ClauseMeasures) -> Flags:
        if self._kind is None:
            return clauses.scales | self._tensor_scale.wrong
        flags: Flags = getattr(clauses, self._scale_clause())
        return flags

    @property
    def _unknown_weights(self) -> bool:
        """The importance-matrix clauses decide: they may, and the plain ones fail."""
        plain = self._plain
        failed = plain.codes.blocks or plain.zeros.blocks or min(plain.scales.blocks, plain.scales_cut.blocks)
        return self._weights and bool(failed)

    def _scale_clause(self) -> str:
        """Which of the measures of clause b holds for this tensor."""
        if self._unknown_weights:
            quota = max(1.0, EXCUSED_SHARE * self._blocks)
            return "inexcusable" if self._weighted.excusable.blocks <= quota else "scales"
        # One habit for the whole tensor: scales were rounded, unless cutting explains more of them.
        return "scales_cut" if self._plain.scales_cut.blocks < self._plain.scales.blocks else "scales"

    def result(self) -> CertificateScalars:
        """The certificate of the chunks seen so far."""
        tally = self._weighted if self._unknown_weights else self._plain
        scales: Count = getattr(tally, self._scale_clause())
        zeros, scale_ulp = tally.zeros, tally.scale_ulp
        if self._kind is None and self._blocks:
            every = Count(self._blocks, 0)
            scale_ulp = self._tensor_scale.ulp
            scales = every if self._tensor_scale.wrong else scales
            zeros = every if self._tensor_scale.false_zero else zeros
        return CertificateScalars(
            blocks=self._blocks,
            code_violations=tally.codes.blocks,
            scale_violations=scales.blocks,
            zero_violations=zeros.blocks,
            first_violation=first_of(tally.codes, scales, zeros),
            worst_code_steps=tally.code_steps,
            worst_error_ratio=tally.error_ratio,
            worst_step_ratio=tally.step_ratio,
            worst_scale_ulp=scale_ulp,
            other_scale_blocks=tally.other_scale,
            clipped_codes=self._clipped,
            zero_scales=self._zero_scales,
            subnormal_scales=self._subnormal_scales,
            unknown_weights=self._unknown_weights,
        )
