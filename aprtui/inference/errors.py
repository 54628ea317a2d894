"""Why a model cannot be run: what the machine lacks, or what the model lacks."""

from __future__ import annotations

from importlib.util import find_spec

from aprtui.core.errors import AprtuiError

_RUNTIME = ("torch", "transformers")


class CannotRunError(AprtuiError):
    """This machine cannot run the model: a library, a device or memory is missing. A reason to skip."""


class NotAModelError(AprtuiError):
    """The files do not make a model that runs: tensors are missing or have other shapes than the metadata says."""


def missing_runtime() -> str | None:
    """Why no model can be run here; None where torch and transformers are installed."""
    absent = [name for name in _RUNTIME if find_spec(name) is None]
    return f"{' and '.join(absent)} not installed (pip install 'aprtui[run]')" if absent else None
