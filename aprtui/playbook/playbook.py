"""What aprtui takes from a playbook."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aprtui.core.gates import FormatLetter


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something in a playbook that was overruled or not understood.

    Attributes:
        line: Line in the file, from 1.
        key: Dotted key path.
        message: What happens instead; empty for a key that nothing reads.
    """

    line: int
    key: str
    message: str = ""

    @property
    def is_unread(self) -> bool:
        """Whether the key was only passed over."""
        return not self.message


@dataclass(frozen=True, slots=True)
class PlaybookModel:
    """The model that a playbook names.

    Attributes:
        hf_repo: Repository on Hugging Face ("org/name").
        local_path: A path beside or below the playbook; None where it names none.
        formats: Formats that take part.
    """

    hf_repo: str
    local_path: Path | None
    formats: tuple[FormatLetter, ...]


@dataclass(frozen=True, slots=True)
class Playbook:
    """A playbook as far as aprtui runs it.

    Attributes:
        path: The file.
        name: Its name.
        version: Its version, as text.
        model: The model.
        seed: Seed of its scenarios; evidence repeats it.
        complaints: What was overruled or not understood.
    """

    path: Path
    name: str
    version: str
    model: PlaybookModel
    seed: int
    complaints: tuple[Complaint, ...]
