"""Playbooks: apr-qa's YAML, read tolerantly, with the line of every complaint."""

from aprtui.playbook.load import load_playbook
from aprtui.playbook.playbook import Complaint, Playbook, PlaybookModel

__all__ = ["Complaint", "Playbook", "PlaybookModel", "load_playbook"]
