"""The one exception base of aprtui.

A user sees these errors as a single line: what is wrong, where, and what to do. Anything else that escapes
is a defect of aprtui itself.
"""

from __future__ import annotations

from pathlib import Path

from aprtui.core.outcomes import ExitCode


class AprtuiError(Exception):
    """Base of every error that aprtui raises on purpose.

    Args:
        problem: What is wrong, as one sentence without a full stop.
        file: The file concerned.
        place: Where in the file (an offset, a tensor, a key, a line).
        todo: What the user can do about it.
    """

    exit_code = ExitCode.ENVIRONMENT

    def __init__(
        self,
        problem: str,
        *,
        file: Path | str | None = None,
        place: str | None = None,
        todo: str | None = None,
    ) -> None:
        self.problem = problem
        self.file = file
        self.place = place
        self.todo = todo
        super().__init__(self.message)

    @property
    def message(self) -> str:
        """The whole error as one line."""
        where = ", ".join(str(part) for part in (self.file, self.place) if part is not None)
        line = f"{where}: {self.problem}" if where else self.problem
        return f"{line}; {self.todo}" if self.todo else line


class FormatError(AprtuiError):
    """A model file cannot be read: not a model, truncated, or outside the limits of its format."""


class UsageError(AprtuiError):
    """The command line or the playbook asks for something that does not exist."""

    exit_code = ExitCode.USAGE
