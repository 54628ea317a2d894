"""Facts that every part of aprtui agrees on: outcomes, findings, dtypes, statistics, tolerances.

Nothing here reads a file or imports numpy, so that the console and the journal reader stay light.
"""
