"""Layout steps carried out on whole numpy arrays, in the words of llama.cpp's converter.

Written from its `reshape`/`swapaxes`/`view` expressions, not from the index orders that the package computes.
"""

import numpy as np

from aprtui.formats.layout.steps import (
    AddConstant,
    PermuteRotaryRows,
    RegroupQkv,
    SliceRows,
    Stack,
    Step,
    TakeMatrix,
    Transpose,
    Values,
)


def apply_steps(arrays: list[np.ndarray], steps: tuple[Step, ...]) -> np.ndarray:
    """The product of these sources; several sources are stacked by the first step."""
    if steps and isinstance(steps[0], Stack):
        arrays, steps = [np.stack(arrays)], steps[1:]
    if steps and isinstance(steps[0], Values):
        arrays, steps = [np.array(steps[0].values, np.float32)], steps[1:]
    (array,) = arrays
    for step in steps:
        array = apply_step(array, step)
    return array


def apply_step(array: np.ndarray, step: Step) -> np.ndarray:
    match step:
        case PermuteRotaryRows(heads, undo):
            half = array.shape[0] // heads // 2
            split = (heads, half, 2) if undo else (heads, 2, half)
            return array.reshape(*split, *array.shape[1:]).swapaxes(1, 2).reshape(array.shape)
        case RegroupQkv(heads, kv_heads, False):
            per_group = heads // kv_heads
            rows = array.shape[0] // (heads + 2 * kv_heads)
            groups = array.reshape(kv_heads, per_group + 2, rows, *array.shape[1:])
            parts = groups[:, :-2], groups[:, -2], groups[:, -1]
            return np.concatenate([part.reshape(-1, *array.shape[1:]) for part in parts])
        case AddConstant(value):
            # float16 stays float16 until the sum is stored, as in torch.
            return array + array.dtype.type(value)
        case Transpose():
            return array.T
        case SliceRows(start, stop):
            return array[start:stop]
        case TakeMatrix(index):
            return array[index]
    raise AssertionError(step)
