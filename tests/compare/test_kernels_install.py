"""The kernels where numba or an instruction is missing, or where there is no place to keep compiled code."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba import int64, njit, void
from numba.core import caching

import aprtui
from aprtui.compare.kernels.compiled import compare_rows
from aprtui.compare.kernels.dispatch import decode_tile
from aprtui.compare.kernels.machine_code import compile_cached, sources_digest

COMPARE = """
import numpy as np
from aprtui.compare.kernels import new_accumulator
from aprtui.core.dtypes import DType
from aprtui.formats.chunk import Chunk
values = np.arange(3000, dtype=np.float32)
a = Chunk(DType.F32, values.view(np.uint8), 1, 3000, 12000)
b = Chunk(DType.F32, (values + np.float32(1)).view(np.uint8), 1, 3000, 12000)
accumulator = new_accumulator(DType.F32)
accumulator.update(a, b, 0)
print(accumulator.record().sum_error)
"""


HALVES = """
import numpy as np
from numba import njit
from aprtui.compare.kernels.decoders_plain import decode_f16
halves = np.arange(65536, dtype=np.uint16)
values = np.empty(65536, np.float32)
decode_f16(halves.view(np.uint8), values, 65536)
expected = halves.view(np.float16).astype(np.float32)
print(np.array_equal(values, expected, equal_nan=True), np.array_equal(np.signbit(values), np.signbit(expected)))
"""


@pytest.mark.parametrize("processor", ["generic", "host"])
def test_float16_on_processors_with_and_without_an_instruction_for_it(processor, tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    if processor == "generic":
        environment |= {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    command = [sys.executable, "-c", HALVES]
    root = Path(aprtui.__file__).parents[1]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "True True"), done.stderr


def test_without_numba_the_reference_measures():
    hide = "import sys\nsys.modules['numba'] = None\n"
    check = "\nassert 'aprtui.compare.kernels.reference' in sys.modules\n"
    check += "assert 'aprtui.compare.kernels.compiled' not in sys.modules"
    command = [sys.executable, "-c", hide + COMPARE + check]
    root = Path(aprtui.__file__).parents[1]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "3000.0"), done.stderr


def test_without_a_writable_place_functions_are_compiled_anew(monkeypatch):
    monkeypatch.setattr(caching.CompileResultCacheImpl, "_locator_classes", [])

    def twice(values):
        values[0] *= 2

    with pytest.raises(RuntimeError, match="no locator available"):
        njit(cache=True)(twice)
    values = np.array([21])
    compile_cached(twice, void(int64[::1]))(values)
    assert values[0] == 42


@pytest.mark.parametrize("entry", [compare_rows, decode_tile])
def test_cached_machine_code_is_bound_to_every_source_of_the_package(entry):
    assert sources_digest() in [cell.cell_contents for cell in entry.py_func.__closure__]
