"""The refusal of a fault that would not damage anything."""

from __future__ import annotations

from aprtui.core.errors import AprtuiError


class NotApplicableError(AprtuiError):
    """A fault does not apply to a product, or would change nothing in it."""
