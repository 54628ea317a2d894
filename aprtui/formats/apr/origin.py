"""Which program most likely wrote an APR file; dtype codes of the same number mean different types to them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from aprtui.formats.apr.header import AprHeader, Flag


class Writer(Enum):
    """A program that writes APR files."""

    APRENDER = "aprender since 2026-02"
    OLD_APRENDER = "aprender before 2026-02"
    REALIZAR = "realizar"
    UNKNOWN = "an unknown program"

    @property
    def is_aprender(self) -> bool:
        """One of aprender's versions."""
        return self in (Writer.APRENDER, Writer.OLD_APRENDER)


def guess_writer(header: AprHeader, metadata: Mapping[str, Any], *, has_footer: bool) -> Writer:
    """Who wrote a file, by what each program alone does.

    aprender sets LAYOUT_ROW_MAJOR since 2026-02, and has always appended a footer and written both counts; realizar's
    converter sets QUANTIZED and names the model type transformer_lm_*.
    """
    if Flag.LAYOUT_ROW_MAJOR in header.flags:
        return Writer.APRENDER
    model_type = metadata.get("model_type")
    if Flag.QUANTIZED in header.flags or (isinstance(model_type, str) and model_type.startswith("transformer_lm")):
        return Writer.REALIZAR
    if has_footer or {"total_size", "param_count"} <= metadata.keys():
        return Writer.OLD_APRENDER
    return Writer.UNKNOWN
