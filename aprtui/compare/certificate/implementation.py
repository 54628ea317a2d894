"""Which version of the certificate measures blocks: the compiled one where numba can be imported, else numpy."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from aprtui.compare.certificate import reference
from aprtui.compare.certificate.measures import BlockMeasures
from aprtui.compare.certificate.types import CertificateType


class MeasureBlocks(Protocol):
    """Measures every clause on some blocks; see `reference.measure_blocks`."""

    def __call__(
        self, kind: CertificateType, source: NDArray[np.float32], raw: NDArray[np.uint8], *, importance_matrix: bool
    ) -> BlockMeasures:
        """Measure n blocks."""
        ...


def measure_blocks_of(*, compiled: bool | None = None) -> MeasureBlocks:
    """The function that measures blocks.

    Args:
        compiled: The compiled version, the numpy reference, or (None) the compiled one where numba is installed.
    """
    if compiled is None:
        compiled = find_spec("numba") is not None
    if not compiled:
        return reference.measure_blocks
    from aprtui.compare.certificate.fast.measure import measure_blocks  # noqa: PLC0415  (imports numba)

    return measure_blocks
