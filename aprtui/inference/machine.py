"""What this machine can hold: memory that is free, devices that are there, the peak of this process."""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

from aprtui.core.errors import UsageError
from aprtui.inference.errors import CannotRunError

GIB = 1 << 30
_DEVICE = re.compile(r"cpu|cuda(:[0-9]{1,4})?")
_MEMINFO = Path("/proc/meminfo")


def named_device(device: str) -> str:
    """The text as it is, where it is the name of a device, here or elsewhere.

    Raises:
        UsageError: It is neither "cpu" nor "cuda" nor "cuda:N".
    """
    if not _DEVICE.fullmatch(device):
        raise UsageError(f"unknown device {device!r}", todo="use cpu, cuda or cuda:N")
    return device


def check_device(device: str) -> str:
    """The device as torch names it.

    Raises:
        UsageError: It is neither "cpu" nor "cuda" nor "cuda:N".
        CannotRunError: There is no such device here.
    """
    kind, _, number = named_device(device).partition(":")
    if kind == "cpu":
        return kind
    import torch  # noqa: PLC0415

    if not torch.cuda.is_available():
        raise CannotRunError(f"device {device}: torch sees no CUDA device here", todo="use --device cpu")
    if int(number or 0) >= torch.cuda.device_count():
        raise CannotRunError(f"device {device}: there are only {torch.cuda.device_count()} CUDA devices")
    return f"cuda:{int(number or 0)}"


def free_bytes(device: str) -> int | None:
    """Bytes that can still be taken on a device; None where the system does not tell."""
    if device != "cpu":
        import torch  # noqa: PLC0415

        # What torch has taken and keeps for later is free for torch.
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0] + kept)
    try:
        lines = _MEMINFO.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    kilobytes = next((line.split()[1] for line in lines if line.startswith("MemAvailable:")), None)
    return None if kilobytes is None else int(kilobytes) * 1024


def require(nbytes: int, device: str, what: str) -> None:
    """Refuse what does not fit, before anything is loaded.

    Raises:
        CannotRunError: With the memory that is needed and the memory that is free.
    """
    free = free_bytes(device)
    if free is not None and nbytes > free:
        raise CannotRunError(f"{what} needs {nbytes / GIB:.1f} GiB on {device}, and {free / GIB:.1f} GiB are free")


def peak_bytes() -> int:
    """Peak resident memory of this process so far; 0 where the system does not tell."""
    try:
        import resource  # noqa: PLC0415
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def return_memory() -> None:
    """Give what was freed back to the system.

    glibc keeps blocks of some MiB for itself, and finds new places rather than those: what each layer leaves would stay
    with this process, layer for layer (glibc's malloc_trim(3); nothing elsewhere).
    """
    _malloc_trim()(0)


@cache
def _malloc_trim() -> Callable[[int], int]:
    if sys.platform != "linux":
        return lambda _: 0
    trim: Callable[[int], int] = getattr(ctypes.CDLL(None), "malloc_trim", lambda _: 0)
    return trim
