"""Playbooks: apr-qa's YAML, read tolerantly, with the line of every complaint."""

from aprtui.playbook.changes import PlaybookChange, change_between
from aprtui.playbook.keys import PlaybookModel
from aprtui.playbook.kinds import Document, DocumentKind, read_document
from aprtui.playbook.load import load_playbook
from aprtui.playbook.playbook import Complaint, ComplaintKind, Playbook

__all__ = [
    "Complaint",
    "ComplaintKind",
    "Document",
    "DocumentKind",
    "Playbook",
    "PlaybookChange",
    "PlaybookModel",
    "change_between",
    "load_playbook",
    "read_document",
]
