"""A whole triage under tmux, as a person does it in an SSH session: each step is looked for on the screen.

    python scripts/console_triage.py [--show]

A small model is converted to BF16 by a converter that cuts instead of rounding. The console runs the playbook, jumps to
the first failure, opens its detail, edits the tolerance, sees the run judged again, exports, quits and attaches again.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic, sleep

import numpy as np

from aprtui.demo import MODEL

_ROOT = Path(__file__).parents[1]
_CONVERTER = """import sys
from pathlib import Path
from aprtui.convert.builtin import BuiltinConverter
from aprtui.faults import FAULTS, inject
from aprtui.formats.container import Format
from aprtui.formats.model import open_model
from aprtui.formats.output_types import parse_output_type

source, target = map(Path, sys.argv[1:])
(target.parent / "good").mkdir()
product = BuiltinConverter().convert(source, Format.GGUF, target.parent / "good", parse_output_type("bf16"))
damaged = inject(FAULTS["weights.truncated_cast"], product, target.parent / "cut", source=open_model(source))
Path(damaged.path).replace(target)
"""
_PLAYBOOK = """name: triage
version: "1.0.0"
model:
  hf_repo: aprtui/triage
  local_path: {model}
  formats: [safetensors, gguf]
test_matrix:
  seed: 42
aprtui:
  outtype: {{default: bf16}}
  tolerance:
    ulp: 0.5
"""


class Console:
    """The console in a tmux session of its own.

    Args:
        scratch: Where everything goes.
        show: Whether to print each screen.
    """

    def __init__(self, scratch: Path, *, show: bool) -> None:
        self._scratch, self._show = scratch, show
        self._socket = f"aprtui-triage-{os.getpid()}"

    def start(self, *arguments: str) -> None:
        """Open the console at 80x24."""
        home = self._scratch / "home"
        environment = {
            "HOME": str(home),
            "XDG_STATE_HOME": str(home / "state"),
            "XDG_CONFIG_HOME": str(home / ".config"),
            "PYTHONPATH": str(_ROOT),
            "EDITOR": f"{sys.executable} {self._scratch / 'editor.py'}",
            "COLORTERM": "truecolor",
        }
        command = ["env", *(f"{key}={value}" for key, value in environment.items())]
        command += [sys.executable, "-m", "aprtui", *arguments]
        self._tmux("-f", os.devnull, "new-session", "-d", "-x", "80", "-y", "24", "-c", str(self._scratch), *command)

    def press(self, *keys: str) -> None:
        """Press keys, as tmux spells them."""
        for key in keys:
            self._tmux("send-keys", key)
            sleep(0.15)

    def sees(self, what: str, text: str, seconds: float = 40.0) -> None:
        """Wait until a text is on the screen.

        Raises:
            SystemExit: It does not come.
        """
        end = monotonic() + seconds
        screen = self._tmux("capture-pane", "-p")
        while text not in screen:
            if monotonic() > end:
                sys.exit(f"FAIL  {what}: no {text!r} on the screen\n{screen}")
            sleep(0.1)
            screen = self._tmux("capture-pane", "-p")
        print(f"ok    {what}")
        if self._show:
            print(screen)

    def ended(self, seconds: float = 15.0) -> None:
        """Wait until the console has gone.

        Raises:
            SystemExit: It stays.
        """
        end = monotonic() + seconds
        while subprocess.run(self._command("has-session"), capture_output=True, check=False).returncode == 0:  # noqa: S603
            if monotonic() > end:
                sys.exit("FAIL  the console does not end")
            sleep(0.1)

    def kill(self) -> None:
        """End the session, whatever it does."""
        subprocess.run(self._command("kill-server"), capture_output=True, check=False)  # noqa: S603

    def _tmux(self, *arguments: str) -> str:
        done = subprocess.run(self._command(*arguments), capture_output=True, text=True, check=True)  # noqa: S603
        return done.stdout

    def _command(self, *arguments: str) -> list[str]:
        return ["tmux", "-L", self._socket, *arguments]


def main() -> None:
    """Do it."""
    if shutil.which("tmux") is None:
        sys.exit("tmux is missing")
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        prepare(scratch)
        console = Console(scratch, show="--show" in sys.argv)
        try:
            triage(console, scratch)
        finally:
            console.kill()


def prepare(scratch: Path) -> None:
    """Model, playbook, converter, editor."""
    model = scratch / "model"
    shutil.copytree(MODEL, model)
    make_float32(model / "model.safetensors")
    (scratch / "playbooks").mkdir()
    (scratch / "playbooks/triage.playbook.yaml").write_text(_PLAYBOOK.format(model=model))
    (scratch / "cutting.py").write_text(_CONVERTER)
    command = [sys.executable, str(scratch / "cutting.py"), "{source}", "{target}"]
    settings = scratch / "home/.config/aprtui/settings.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(f'[converters.cutting]\ncommand = {json.dumps(command)}\npairs = ["S-G"]\n')
    edit = "import sys, pathlib\npath = pathlib.Path(sys.argv[-1])\n"
    edit += "path.write_text(path.read_text().replace('ulp: 0.5', 'ulp: 1.0'))\n"
    (scratch / "editor.py").write_text(edit)


def make_float32(path: Path) -> None:
    """Rewrite a BF16 checkpoint in F32, with digits that BF16 does not have."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    random, parts, offset = np.random.default_rng(1), [], 0
    for facts in header.values():
        start, end = facts["data_offsets"]
        bits = np.frombuffer(data[8 + length + start : 8 + length + end], "<u2").astype("<u4") << 16
        values = (bits | random.integers(0, 1 << 16, bits.shape, dtype=np.uint32)).astype("<u4").tobytes()
        facts |= {"dtype": "F32", "data_offsets": [offset, offset + len(values)]}
        parts.append(values)
        offset += len(values)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(parts))


def triage(console: Console, scratch: Path) -> None:
    """From the list of playbooks to the attach card."""
    console.start("--playbooks", str(scratch / "playbooks"), "--output-dir", str(scratch / "out"))
    console.sees("the playbook is listed", "triage")
    console.press("r")
    console.sees("the launch dialog opens", "Run triage")
    console.press("Down", "Right", "Right", "Right")
    console.sees("it names the converter and its path", "cutting")
    console.sees("and the same as a command", "aprtui run")
    console.press("Enter")
    console.sees("rows arrive", "wait", 60)
    console.sees("the run ends", "✓ finished", 120)
    console.press("f", "n")
    console.sees("failures only", "fails only")
    console.sees("tolerance and margin in ULP", "0.5ULP L")
    console.press("Enter")
    console.sees("the detail opens", "TARGET")
    console.sees("it begins with the cause", "weights.")
    console.press("Escape", "E")
    console.sees("the tolerance is edited and the run judged again", "judged again", 60)
    console.press(".")
    console.sees("no tensor fails any more", "fails only  0 of", 30)
    console.press("f")
    console.sees("the new tolerance is in every row", "1ULP L")
    console.press("e", "Right", "Right", "Enter")
    console.sees("the table is exported", "written:")
    tables = list(scratch.glob("*.csv"))
    if not tables or "pass" not in tables[0].read_text():
        sys.exit("FAIL  there is no table")
    console.press("1", "r")
    console.sees("a second launch", "Run triage")
    console.press("Down", "Enter")
    console.sees("it begins", "running", 60)
    console.press("q")
    console.sees("leaving asks", "leave them running")
    console.press("Enter")
    console.ended()
    print("ok    the console is left, the engine goes on")
    console.start("--playbooks", str(scratch / "playbooks"))
    console.sees("the next console finds the run", "While you were away")
    console.press("Enter")
    console.sees("and shows it to its end", "✓ finished", 120)
    console.press("q")
    console.ended()
    print("ok    left")


if __name__ == "__main__":
    main()
