"""How complaints about playbooks are shown; the same under `run` and `playbooks`."""

from __future__ import annotations

from collections.abc import Iterator

from aprtui.core.safe_text import safe_text
from aprtui.playbook import Complaint, ComplaintKind, Playbook

_LISTED = (ComplaintKind.LATER, ComplaintKind.UNREAD)
_LONGEST = 4000


def complaint_lines(playbook: Playbook) -> Iterator[str]:
    """A line for each complaint that says something of its own; keys without effect in one line per kind and file."""
    for complaint in playbook.complaints:
        if complaint.message:
            place = f"{safe_text(complaint.file or playbook.path)}:{complaint.line}"
            yield f"{place}: {safe_text(complaint.key)}: {safe_text(complaint.message)}"
    for kind in _LISTED:
        listed = [complaint for complaint in playbook.complaints if complaint.kind is kind and not complaint.message]
        for file in dict.fromkeys(complaint.file for complaint in listed):
            keys = ", ".join(_key(complaint) for complaint in listed if complaint.file == file)
            yield f"{safe_text(file or playbook.path)}: {kind}: {safe_text(keys, _LONGEST)}"


def _key(complaint: Complaint) -> str:
    return f"{complaint.key} (line {complaint.line})"


def problem_count(playbook: Playbook) -> int:
    """Complaints that somebody should look at; keys that are known and have no effect do not count."""
    return sum(1 for complaint in playbook.complaints if complaint.kind not in _LISTED)
