"""Failures of a conversion that are no verdict on the product: out of time, or a result that says nothing."""

from __future__ import annotations

from aprtui.core.errors import AprtuiError
from aprtui.core.outcomes import ExitCode


class ConversionTimeoutError(AprtuiError):
    """The converter ran into its time limit and was ended."""

    exit_code = ExitCode.TIMEOUT


class ConversionNotOfferedError(AprtuiError):
    """The converter says that it has no such conversion, or no such output type in this format."""


class ConversionVoidError(AprtuiError):
    """The source or the converter changed while it ran, so the product says nothing about either."""
