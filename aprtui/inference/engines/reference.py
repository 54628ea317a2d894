"""The reference forward pass as an engine: any of the three formats, in transformers, float32."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from time import monotonic

from aprtui.convert.identity import program_digest
from aprtui.core.errors import AprtuiError
from aprtui.formats.container import Format
from aprtui.formats.model import open_model
from aprtui.inference.engines.engine import EngineAnswer, EngineIdentity
from aprtui.inference.errors import CannotRunError, missing_runtime
from aprtui.inference.tokenizers import encode_texts
from aprtui.inference.tokenizers.decode import text_of


@dataclass(frozen=True)
class ReferenceEngine:
    """Runs any model that transformers knows.

    Attributes:
        device: "cpu", "cuda" or "cuda:N".
    """

    device: str = "cpu"

    @cached_property
    def identity(self) -> EngineIdentity:
        """Versions of transformers and torch; digest of transformers' entry module."""
        absent, spec = missing_runtime(), find_spec("transformers")
        if absent is not None or spec is None or spec.origin is None:
            raise AprtuiError(absent or "transformers not installed")
        path = Path(spec.origin)
        versions = f"transformers {version('transformers')}, torch {version('torch')}"
        return EngineIdentity("reference", versions, path, program_digest(path))

    @property
    def formats(self) -> frozenset[Format]:
        """All three."""
        return frozenset(Format)

    def generate(self, model: Path, prompts: Sequence[str], most: int) -> tuple[EngineAnswer, ...]:
        """Continue each prompt in the model's own tokens, its weights in memory."""
        try:
            return self._generated(model, prompts, most)
        except AprtuiError as error:
            return (EngineAnswer(None, None, None, error.message),) * len(prompts)

    def _generated(self, path: Path, prompts: Sequence[str], most: int) -> tuple[EngineAnswer, ...]:
        absent = missing_runtime()
        if absent is not None:
            raise CannotRunError(absent)
        from aprtui.inference.machine import check_device, require  # noqa: PLC0415
        from aprtui.inference.reference.checkpoint import checkpoint_of  # noqa: PLC0415
        from aprtui.inference.reference.model import ReferenceModel, Runtime  # noqa: PLC0415

        opened = open_model(path)
        device = check_device(self.device)
        running = ReferenceModel(checkpoint_of(opened), Runtime(device))
        require(running.nbytes + running.nbytes // 8, device, "a whole model in float32")
        ends = frozenset(opened.config.values.get("eos_token_id", ()))
        answers = []
        with running.kept():
            for ids in encode_texts(opened, prompts).ids:
                begun = monotonic()
                steps = running.generate(ids, most, ends) if ids else []
                numbers = tuple(number for number, _ in steps)
                text = text_of(opened.tokenizer, numbers)
                answers.append(EngineAnswer(text, numbers, len(ids), seconds=monotonic() - begun))
        return tuple(answers)
