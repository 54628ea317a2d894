"""Faults: every damage that a conversion can do to a model file, as a function that does it on purpose.

Tests, `aprtui selftest` and the diagnosis share them. `FAULTS` is the catalogue, `inject` makes a damaged copy.
"""

from aprtui.faults.catalogue import FAULTS
from aprtui.faults.damage import Damaged, inject, inject_several
from aprtui.faults.errors import NotApplicableError
from aprtui.faults.fault import Fault

__all__ = ["FAULTS", "Damaged", "Fault", "NotApplicableError", "inject", "inject_several"]
