"""Checks of `aprtui doctor`: the engines that can run models, each with version, path and digest."""

from __future__ import annotations

from collections.abc import Iterator

from aprtui.cli.doctor_check import Check, State
from aprtui.core.errors import AprtuiError
from aprtui.inference.engines import AprEngine, Engine, LlamaCppEngine, ReferenceEngine


def engines() -> Iterator[Check]:
    """Each engine, or what it lacks; none of them is needed to compare what is stored."""
    every: dict[str, Engine] = {"reference": ReferenceEngine(), "llama.cpp": LlamaCppEngine(), "apr": AprEngine()}
    for name, engine in every.items():
        try:
            identity = engine.identity
        except AprtuiError as error:
            yield Check("engines", name, State.MISSING, error.message)
            continue
        formats = ", ".join(sorted(engine.formats))
        facts = {"version": identity.version, "path": str(identity.path), "digest": identity.digest}
        yield Check("engines", name, State.FINE, f"{identity.version} at {identity.path}, runs {formats}", facts)
