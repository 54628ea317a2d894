"""K-quants written as one run of super-blocks, whose rows do not fill blocks, compared under layouts that move rows."""

import numpy as np
import pytest

from aprtui.compare.weights import measure_pair
from aprtui.core.dtypes import DType
from aprtui.core.tolerance import judge, tolerance_for
from aprtui.formats.codecs.encode import encode
from aprtui.formats.container import StoredTensor
from aprtui.formats.layout.plan import TensorPair
from aprtui.formats.views import RowsPermuted, Stored, rotary_order

ROWS, COLUMNS = 64, 160


def stored(tmp_path, name, dtype, raw):
    path = tmp_path / name
    path.write_bytes(raw.tobytes())
    return StoredTensor(name, dtype, (ROWS, COLUMNS), path, 0, len(raw))


@pytest.fixture
def values():
    return (np.random.default_rng(5).standard_normal((ROWS, COLUMNS)) * 0.02).astype(np.float32)


def judged(pair):
    return judge(measure_pair(pair), tolerance_for(pair.source.dtype, pair.target.dtype))


@pytest.mark.parametrize("source_type", [DType.F32, DType.BF16])
def test_a_run_of_blocks_is_certified_under_a_permutation(tmp_path, values, source_type):
    order = rotary_order(4, ROWS // 4)
    source = stored(tmp_path, "a", source_type, encode(source_type, values))
    held = np.asarray(values if source_type is DType.F32 else _bf16(values))[order]
    target = stored(tmp_path, "b", DType.Q4_K, encode(DType.Q4_K, held.reshape(1, -1)))
    assert target.runs_on
    view = RowsPermuted(Stored(source), order, "rows permuted")
    good = judged(TensorPair("t", view, target, ("t",)))
    assert good.passed, good.sentence
    # Without the permutation almost every block is another one.
    bad = judged(TensorPair("t", Stored(source), target, ("t",)))
    assert not bad.passed and "codes that are not nearest" in bad.sentence


def _bf16(values):
    bits = values.view(np.uint32)
    return (((bits + (0x7FFF + ((bits >> 16) & 1))) >> 16) << 16).astype(np.uint32).view(np.float32)
