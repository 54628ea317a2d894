"""The process that the reference engine runs in: one line for the loaded model, one for each answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

from aprtui.core.errors import AprtuiError
from aprtui.core.scenarios import Ending
from aprtui.formats.model import Model, open_model
from aprtui.inference.child import tell
from aprtui.inference.engines.continuing import answer_line
from aprtui.inference.errors import CannotRunError, NotAModelError
from aprtui.inference.machine import check_device, require
from aprtui.inference.reference.checkpoint import checkpoint_of
from aprtui.inference.reference.model import ReferenceModel, Runtime
from aprtui.inference.tokenizers import NoEncoderError, encode_texts
from aprtui.inference.tokenizers.ends import ends_of


def answers(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What was loaded, each answer, and where it fails why."""
    loaded = False
    try:
        model, running = _opened(Path(request["path"]), request["device"])
        with running.kept():
            running.load()
            loaded = True
            yield {"loaded": True}
            ids = encode_texts(model, request["prompts"]).ids
            for prompt in ids:
                try:
                    yield answer_line(model, prompt, request["most"], partial(_generate, model, running))
                except NotAModelError as error:
                    yield {"no_answer": error.problem, "ending": Ending.FAILED}
    except NoEncoderError as error:
        yield _failed(error, Ending.NOT_PROMPTED, loaded=loaded)
    except CannotRunError as error:
        yield _failed(error, Ending.NOT_RUN, loaded=None)
    except AprtuiError as error:
        yield _failed(error, Ending.FAILED, loaded=loaded)
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        # A file that contradicts itself may show it only here.
        yield {"failed": f"{type(error).__name__}: {error}"[:300], "ending": Ending.FAILED, "loaded": loaded}


def _opened(path: Path, device: str) -> tuple[Model, ReferenceModel]:
    model = open_model(path)
    running = ReferenceModel(checkpoint_of(model), Runtime(check_device(device)))
    require(running.nbytes + running.nbytes // 8, running.runtime.device, "a whole model in float32")
    return model, running


def _generate(model: Model, running: ReferenceModel, ids: Sequence[int], most: int) -> list[tuple[int, float]]:
    times: list[float] = []
    # The model runs once for each token: the moments when it ends are as far apart as the tokens are.
    hook = running.base.register_forward_hook(lambda *_: times.append(monotonic()))
    try:
        steps = running.generate(ids, most, ends_of(model))
    finally:
        hook.remove()
    return [(number, at) for (number, _), at in zip(steps, times, strict=True)]


def _failed(error: AprtuiError, ending: Ending, *, loaded: bool | None) -> dict[str, Any]:
    return {"failed": error.problem, "ending": ending, "loaded": loaded}


def main(folder: Path) -> None:
    """Read `request.json`, write `answers.jsonl` line by line."""
    tell(folder, answers)
