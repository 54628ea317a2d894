"""Comparison kernels: every scalar of the statistics record in one pass over two encodings.

    accumulator = new_accumulator(target_dtype)
    accumulator.update(source_chunk, target_chunk, first_element)
    record = accumulator.record()

`reference` defines the numbers, `fast` computes the same ones near the speed of memory.
"""

from aprtui.compare.kernels.accumulator import Accumulator, AccumulatorKind, new_accumulator
from aprtui.compare.kernels.state import State, finish, merge

__all__ = ["Accumulator", "AccumulatorKind", "State", "finish", "merge", "new_accumulator"]
