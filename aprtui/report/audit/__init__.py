"""Judges evidence that others wrote: what each entry shows by itself, whatever its outcome says."""

from aprtui.report.audit.facts import EntryAudit, FileAudit, Standing
from aprtui.report.audit.file import audit_evidence

__all__ = ["EntryAudit", "FileAudit", "Standing", "audit_evidence"]
