"""What a changed playbook asks for: nothing, another judgement of what was measured, or a new run."""

from __future__ import annotations

from enum import StrEnum

from aprtui.playbook.playbook import Playbook


class PlaybookChange(StrEnum):
    """What has to be done after a playbook was saved."""

    NOTHING = "nothing"
    JUDGE_AGAIN = "judge again"
    RUN_AGAIN = "run again"


def change_between(before: Playbook, after: Playbook) -> PlaybookChange:
    """Compare two readings of one playbook."""
    if before.fingerprint != after.fingerprint:
        return PlaybookChange.RUN_AGAIN
    same = before.settings.tolerance == after.settings.tolerance
    return PlaybookChange.NOTHING if same else PlaybookChange.JUDGE_AGAIN
