"""The certificate compiled with numba: one pass over stored blocks that decides nearly all of them.

Blocks near a bound, and blocks whose codes may come from another scale than the stored one, go to the numpy
reference by index, so that both versions reach every decision alike.
"""
