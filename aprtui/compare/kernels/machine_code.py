"""Compiling the kernel's entries once per machine, and never running machine code of older sources."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

from numba import njit
from numba.core.caching import FunctionCache
from numba.core.typing import Signature

Function = TypeVar("Function", bound=Callable[..., None])


@cache
def sources_digest() -> int:
    """A number that changes with any source file of this package.

    numba's cache looks at a function's own file and at what it closes over, not at the functions that it calls.
    Entries therefore close over this number.
    """
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return int.from_bytes(digest.digest()[:7], "big")


def compile_cached(function: Function, signature: Signature) -> Function:
    """Compile a function now, keeping the machine code for later processes where there is a place to keep it.

    numba looks for a writable place itself (beside the source, then the user's cache folder) and raises where there
    is none, as in a read-only installation without a home; then each process compiles anew.
    """
    try:
        return njit(signature, nogil=True, cache=True)(function)  # type: ignore[no-any-return]
    except (RuntimeError, OSError):
        return njit(signature, nogil=True)(function)  # type: ignore[no-any-return]


def cache_folder() -> Path | None:
    """Where machine code is kept for later processes; None where there is no place to keep it."""
    try:
        return Path(FunctionCache(compile_cached).cache_path)
    except (RuntimeError, OSError):
        return None


def kept_entries(folder: Path) -> int:
    """How many pieces of machine code a cache folder has of these sources; older ones are not used any more."""
    newest = max(path.stat().st_mtime for path in Path(__file__).parent.glob("*.py"))
    return sum(1 for path in folder.glob("*.nbc") if path.stat().st_mtime >= newest)
