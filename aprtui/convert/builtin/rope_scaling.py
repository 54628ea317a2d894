"""Rope scaling as metadata: GGUF keeps two kinds of it as tensors, config.json and APR state all of them.

Long-rope factors are the tensors' values. Llama 3's factors are computed from four numbers; the converter looks for
the numbers that give exactly these factors.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aprtui.core.errors import AprtuiError
from aprtui.formats.codecs import decode_chunk
from aprtui.formats.container import Format
from aprtui.formats.layout.rope_tensors import llama3_factors
from aprtui.formats.model import Model
from aprtui.formats.views import Stored

_CONTEXTS = (8192, *(1 << bits for bits in range(5, 21) if bits != 13))
_LOW_AND_HIGH = ((1.0, 4.0), (1.0, 2.0), (1.0, 8.0), (2.0, 4.0), (2.0, 8.0))
# Powers computed by torch and by numpy differ in the last place; between the two wavelengths that becomes a few.
_RELATIVE_ERROR = 2e-6


def stated_scaling(source: Model) -> dict[str, Any] | None:
    """The source's rope scaling with every field that it has; None where it has none.

    Raises:
        AprtuiError: The factors in the file follow from no known parameters.
    """
    scaling = source.config.values.get("rope_scaling")
    if scaling is None:
        return None
    complete = dict(scaling)
    if "rope_freqs.weight" in source.tensors and "factor" not in complete:
        complete |= _llama3_parameters(source)
    for length in ("long", "short"):
        name = f"rope_factors_{length}.weight"
        if name in source.tensors and f"{length}_factor" not in complete:
            complete[f"{length}_factor"] = tuple(float(str(value)) for value in _vector(source, name))
    if source.format is Format.GGUF and complete.get("rope_type") == "longrope":
        # llama.cpp's own name for what it computes from the two contexts; other runtimes compute it too.
        complete.pop("attention_factor", None)
    return complete


def _vector(source: Model, name: str) -> NDArray[np.float32]:
    view = Stored(source.tensors[name])
    return np.asarray(decode_chunk(view.read(0, view.elements)), np.float32).reshape(-1)


def _llama3_parameters(source: Model) -> dict[str, Any]:
    stored = _vector(source, "rope_freqs.weight")
    theta = source.config.values.get("rope_theta", 10000.0)
    # Where no wavelength is long enough to be divided by the whole factor, the factor itself stands nowhere.
    factors = dict.fromkeys((*stored[-1:].tolist(), 8.0, 32.0, 16.0, 4.0, 2.0))
    for context, (low, high), factor in product(_CONTEXTS, _LOW_AND_HIGH, factors):
        found = {
            "factor": factor,
            "low_freq_factor": low,
            "high_freq_factor": high,
            "original_max_position_embeddings": context,
        }
        computed = llama3_factors({"rope_theta": theta, **found}, 2 * stored.size)
        if np.allclose(computed, stored, rtol=_RELATIVE_ERROR, atol=0.0):
            return found
    problem = "its factors follow from no known parameters of Llama 3's rope scaling, so they cannot become metadata"
    raise AprtuiError(problem, file=source.path, place="tensor rope_freqs.weight")
