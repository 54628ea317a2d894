"""`general.file_type` of a GGUF, which tools show as the type of the whole file, held against its tensors."""

from __future__ import annotations

from collections import Counter
from math import prod

from aprtui.core.dtypes import Family
from aprtui.core.findings import Finding, LevelResult, judge_level
from aprtui.core.outcomes import Level, Outcome
from aprtui.formats.container import Format
from aprtui.formats.model import Model

KEY = "general.file_type"
_ALL_F32 = 0
_PLAIN = {_ALL_F32: "all tensors are F32", 1: "most tensors are F16", 32: "most tensors are BF16"}
"""Values of llama.cpp's `llama_ftype` that promise plain numbers: ALL_F32, MOSTLY_F16, MOSTLY_BF16."""


def with_file_type(result: LevelResult, target: Model) -> LevelResult:
    """The metadata level, with a failure where a GGUF calls itself plain and stores matrices in blocks.

    "All" allows no matrix in blocks, "most" fewer elements in blocks than in plain numbers.

    Args:
        result: The level without it.
        target: The product.
    """
    stated = target.container.metadata.get(KEY)
    if target.format is not Format.GGUF or stated not in _PLAIN or result.outcome is Outcome.SKIPPED:
        return result
    matrices = [tensor for tensor in target.tensors.values() if len(tensor.shape) > 1]
    blocks = [tensor for tensor in matrices if tensor.dtype.info.family is Family.BLOCK]
    in_blocks = sum(prod(tensor.shape) for tensor in blocks)
    is_true = not blocks if stated == _ALL_F32 else 2 * in_blocks <= sum(prod(tensor.shape) for tensor in matrices)
    if is_true:
        return result
    counts = Counter(tensor.dtype for tensor in blocks)
    found = ", ".join(f"{count} matrices in {dtype}" for dtype, count in counts.most_common())
    message = f"{KEY} says that {_PLAIN[stated]}"
    finding = Finding(Level.METADATA, KEY, message, expected=found, found=str(stated))
    return judge_level(
        Level.METADATA, [*result.findings, finding], checked=result.checked + 1, not_checked=result.not_checked
    )
