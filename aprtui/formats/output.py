"""Writing model files: data come in bounded chunks, and a file appears only when it is whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aprtui.core.dtypes import DType
from aprtui.core.errors import AprtuiError

Bytes = bytes | memoryview | NDArray[np.uint8]


class TensorToWrite(NamedTuple):
    """A tensor for a writer; a plain tuple does as well.

    Attributes:
        name: Name in the file.
        dtype: Stored type.
        shape: Row-major shape.
        chunks: Its stored bytes in order, asked for only when they are written.
    """

    name: str
    dtype: DType
    shape: tuple[int, ...]
    chunks: Iterable[Bytes]


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """A new file that takes its name when the block ends well, and leaves nothing where it does not.

    Raises:
        AprtuiError: It cannot be written.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        with partial.open("wb") as file:
            yield file
        partial.replace(path)
    except OSError as error:
        raise AprtuiError(f"the file cannot be written: {error.strerror}", file=path) from None
    finally:
        partial.unlink(missing_ok=True)


def write_chunks(file: BinaryIO, path: Path, tensor: TensorToWrite, nbytes: int) -> None:
    """Write a tensor's bytes; they must be as many as its type and shape take.

    Raises:
        AprtuiError: They are more or fewer.
    """
    written = 0
    for chunk in tensor.chunks:
        raw = np.ascontiguousarray(chunk).data if isinstance(chunk, np.ndarray) else memoryview(chunk)
        written += raw.nbytes
        if written > nbytes:
            break
        file.write(raw)
    if written != nbytes:
        more = "more than " if written > nbytes else ""
        amount = f"{more}{min(written, nbytes)}"
        problem = f"{amount} bytes were given where {tensor.dtype} of shape {list(tensor.shape)} takes {nbytes}"
        raise AprtuiError(problem, file=path, place=f"tensor {tensor.name}")
