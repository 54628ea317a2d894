"""What the console was started with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from aprtui.settings import ConsoleSettings


@dataclass(frozen=True, slots=True)
class ConsoleOptions:
    """Settings, and what the command line says.

    Attributes:
        settings: The table [console].
        readonly: Whether nothing may be started, stopped or written.
        output: Directory for evidence and run folders of runs that are started here.
        playbooks: Folders with playbooks; empty for our own and ./playbooks.
    """

    settings: ConsoleSettings = field(default_factory=ConsoleSettings)
    readonly: bool = False
    output: Path = Path("output")
    playbooks: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Opening:
    """What to show first.

    Attributes:
        run: Folder of a run; None for the list of playbooks.
        gate: Id of the gate to open.
    """

    run: Path | None = None
    gate: str = ""
