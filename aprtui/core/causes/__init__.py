"""The catalogue of causes as data: what goes wrong with conversions, how it shows, what proves it, what repairs it."""

from aprtui.core.causes.catalogue import CAUSES, HISTORY, cause_named
from aprtui.core.causes.cause import Cause, Question, Repair, RootCause

__all__ = ["CAUSES", "HISTORY", "Cause", "Question", "Repair", "RootCause", "cause_named"]
