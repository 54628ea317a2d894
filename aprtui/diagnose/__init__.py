"""Explains failing comparisons: causes by name, proved by comparing again with the repair."""

from aprtui.diagnose.onion import Explained, diagnose, diagnose_file

__all__ = ["Explained", "diagnose", "diagnose_file"]
