"""The `apr` command as an engine: one process for each prompt, with a time limit and crashes as answers."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from aprtui.convert.identity import program_digest, stated_version
from aprtui.core.errors import AprtuiError
from aprtui.core.scenarios import SECONDS_OF_A_PROMPT, Backend, Ending
from aprtui.formats.container import Format
from aprtui.inference.engines.apr_output import read_answer
from aprtui.inference.engines.ending import ending_of
from aprtui.inference.engines.engine import EngineAnswer, EngineIdentity, no_answer, weights_file
from aprtui.processes.run import Place, run_command

# Exit codes of apr-cli (error.rs).
_NOT_OF_THE_FILE = {2: "this apr does not take the command line", 9: "this apr was built without what it needs"}
_NOT_LOADED = frozenset({4, 6})


@dataclass(frozen=True)
class AprEngine:
    """Runs `apr run`.

    Attributes:
        program: Path or name of the command.
        is_on_gpu: Whether it is asked to use a GPU; otherwise it is told not to.
        seconds: Time limit of one prompt.
    """

    program: str = "apr"
    is_on_gpu: bool = False
    seconds: float = SECONDS_OF_A_PROMPT

    @cached_property
    def identity(self) -> EngineIdentity:
        """Version as `apr --version` prints it; digest of the program."""
        found = shutil.which(self.program)
        if found is None:
            raise AprtuiError(f"the command {self.program!r} is not installed", todo="install it, or name its path")
        path = Path(found).resolve()
        return EngineIdentity("apr", stated_version([found, "--version"]), path, program_digest(path))

    @property
    def formats(self) -> frozenset[Format]:
        """All three."""
        return frozenset(Format)

    @property
    def backend(self) -> Backend:
        """What it is asked for."""
        return Backend.GPU if self.is_on_gpu else Backend.CPU

    def generate(self, model: Path, prompts: Sequence[str], most: int) -> tuple[EngineAnswer, ...]:
        """Continue each prompt; the model is opened anew for each."""
        return tuple(self._one(model, prompt, most) for prompt in prompts)

    def _one(self, model: Path, prompt: str, most: int) -> EngineAnswer:
        arguments = [str(self.identity.path), "run", str(weights_file(model))]
        # Behind a blank, what begins with a hyphen would be an option of its own.
        arguments += [f"--prompt={prompt}"] if prompt.startswith("-") else ["--prompt", prompt]
        arguments += [
            "--max-tokens",
            str(most),
            "--gpu" if self.is_on_gpu else "--no-gpu",
            "--json",
        ]
        with tempfile.TemporaryDirectory(prefix="aprtui-apr-") as name:
            folder = Path(name)
            try:
                result = run_command(arguments, Place(folder, folder, folder), time_limit=self.seconds)
            except AprtuiError as error:
                return no_answer(Ending.NOT_RUN, error.problem)
            printed, said = (stream.path.read_text("utf-8", "replace") for stream in (result.stdout, result.stderr))
        ending, words = ending_of(result, said)
        if ending is Ending.ANSWERED:
            answer = read_answer(printed, said, self.backend)
            answer = replace(answer, is_cut_off=answer.ids is None or len(answer.ids) >= most)
        elif ending is Ending.FAILED and result.exit_code in _NOT_OF_THE_FILE:
            answer = no_answer(Ending.NOT_RUN, f"{_NOT_OF_THE_FILE[result.exit_code]}: it {words}")
        else:
            has_loaded = False if ending is Ending.FAILED and result.exit_code in _NOT_LOADED else None
            answer = no_answer(ending, f"it {words}", has_loaded=has_loaded)
        return replace(answer, seconds=result.seconds, command=shlex.join(arguments))
