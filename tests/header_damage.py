"""Hypothesis strategies that damage files, and what every reader owes a damaged file."""

import tracemalloc
from pathlib import Path

from hypothesis import strategies as st

from aprtui.core.errors import AprtuiError
from aprtui.formats.bytes import tensor_bytes

HUGE = [0, 1, 2**31 - 1, 2**32 - 1, 2**60, 2**63 - 1, 2**63, 2**64 - 1]
MOST_MEMORY = 8 << 20


@st.composite
def damaged(draw, good: bytes, header: int):
    """The bytes of a good file with a few faults in its first `header` bytes, or cut off."""
    content = bytearray(good)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, min(header, len(content)) - 1))
        match draw(st.sampled_from(["flip", "number", "cut", "drop", "repeat"])):
            case "flip":
                content[at] ^= draw(st.integers(1, 255))
            case "number":
                width = draw(st.sampled_from([4, 8]))
                value = draw(st.sampled_from(HUGE) | st.integers(0, 2**64 - 1))
                content[at : at + width] = (value % 2 ** (8 * width)).to_bytes(width, "little")
            case "cut":
                del content[max(1, at) :]
            case "drop":
                del content[at : at + draw(st.integers(1, 16))]
            case "repeat":
                content[at:at] = content[at : at + draw(st.integers(1, 16))]
        if not content:
            content = bytearray(b"\0")
    return bytes(content)


def read_or_refuse(read, path: Path, content: bytes) -> bool:
    """Read a damaged file: a container whose readable tensors can be read, or one of our errors; in little memory.

    Any other exception is the failure of the test. True where it was read.
    """
    path.write_bytes(content)
    tracemalloc.start()
    try:
        container = read(path)
        for tensor in container.tensors:
            if tensor.readable:
                assert tensor_bytes(tensor).size == tensor.nbytes
            else:
                assert tensor.name in {finding.subject for finding in container.findings}
        for value in container.metadata.values():
            list(value) if hasattr(value, "__len__") else str(value)
    except AprtuiError as error:
        assert str(path) in str(error)
        return False
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < MOST_MEMORY
    return True
