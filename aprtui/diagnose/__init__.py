"""Explains failing comparisons: causes by name, proved by comparing again with the repair."""

from aprtui.diagnose.logits import with_logits
from aprtui.diagnose.onion import Explained, diagnose, diagnose_file
from aprtui.diagnose.repair import Repaired, Taken, write_repaired

__all__ = ["Explained", "Repaired", "Taken", "diagnose", "diagnose_file", "with_logits", "write_repaired"]
