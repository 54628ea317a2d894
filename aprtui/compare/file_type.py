"""`general.file_type` of a GGUF, which tools show as the type of the whole file, held against its tensors."""

from __future__ import annotations

from collections import Counter

from aprtui.core.dtypes import Family
from aprtui.core.findings import Finding, LevelResult, judge_level
from aprtui.core.outcomes import Level, Outcome
from aprtui.formats.container import Format
from aprtui.formats.model import Model

KEY = "general.file_type"
_PLAIN = {0: "F32", 1: "F16", 32: "BF16"}
"""Values of llama.cpp's `llama_ftype` that promise plain numbers."""


def with_file_type(result: LevelResult, target: Model) -> LevelResult:
    """The metadata level, with a failure where a GGUF calls itself plain and stores matrices in blocks.

    Args:
        result: The level without it.
        target: The product.
    """
    stated = target.container.metadata.get(KEY)
    if target.format is not Format.GGUF or stated not in _PLAIN or result.outcome is Outcome.SKIPPED:
        return result
    tensors = (tensor for tensor in target.tensors.values() if len(tensor.shape) > 1)
    blocks = Counter(tensor.dtype for tensor in tensors if tensor.dtype.info.family is Family.BLOCK)
    if not blocks:
        return result
    found = ", ".join(f"{count} matrices in {dtype}" for dtype, count in blocks.most_common())
    message = f"{KEY} says that all tensors are {_PLAIN[stated]}"
    finding = Finding(Level.METADATA, KEY, message, expected=found, found=f"{stated} ({_PLAIN[stated]})")
    return judge_level(
        Level.METADATA, [*result.findings, finding], checked=result.checked + 1, not_checked=result.not_checked
    )
