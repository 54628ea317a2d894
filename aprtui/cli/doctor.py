"""`aprtui doctor`: which engines this machine has, and what they lack."""

from __future__ import annotations

import json

import click

from aprtui.cli import options
from aprtui.cli.output import show
from aprtui.core.errors import AprtuiError
from aprtui.core.safe_text import safe_text
from aprtui.inference.engines import AprEngine, Engine, LlamaCppEngine, ReferenceEngine
from aprtui.inference.machine import free_bytes


@click.command(name="doctor")
@click.option("--apr", default="apr", show_default=True, metavar="PATH", help="The apr command.")
@options.output_format
def command(*, apr: str, output_format: str) -> int:
    """Show the engines that can run models here: version, path, digest, or what is missing.

    Exit codes: 0 shown, whatever is missing.
    """
    engines: dict[str, Engine] = {
        "reference": ReferenceEngine(),
        "llama.cpp": LlamaCppEngine(),
        "apr": AprEngine(apr),
    }
    found = {name: _facts(engine) for name, engine in engines.items()}
    memory = free_bytes("cpu")
    if output_format == "json":
        show(json.dumps({"engines": found, "free_bytes": memory}, indent=2))
        return 0
    for name, facts in found.items():
        if "missing" in facts:
            show(f"{name:<10}  missing: {safe_text(facts['missing'], 300)}")
        else:
            show(f"{name:<10}  {safe_text(facts['version'], 200)}")
            show(f"{'':<10}  {safe_text(facts['path'], 300)}, {facts['digest']}")
            show(f"{'':<10}  opens {facts['formats']}")
    if memory is not None:
        show(f"{'memory':<10}  {memory / 2**30:.1f} GiB free")
    return 0


def _facts(engine: Engine) -> dict[str, str]:
    try:
        identity = engine.identity
    except AprtuiError as error:
        return {"missing": error.message}
    return {
        "version": identity.version,
        "path": str(identity.path),
        "digest": identity.digest,
        "formats": ", ".join(sorted(engine.formats)),
    }
