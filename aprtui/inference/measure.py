"""Measures what two models do: layers in lockstep, logits, the twin, the noise floor, text.

Everything that could not be measured stands in the result with its reason; only a source or a machine that cannot run
at all ends it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from time import monotonic

import numpy as np
import torch

from aprtui.core.behaviour import Behaviour, LayerError, LogitStatistics
from aprtui.core.errors import AprtuiError
from aprtui.formats.container import Format
from aprtui.formats.layout.plan import LayoutPlan
from aprtui.formats.model import Model
from aprtui.inference.errors import CannotRunError
from aprtui.inference.llama import installed_version, llama_logits
from aprtui.inference.logits import LogitRecord
from aprtui.inference.machine import check_device, peak_bytes, require
from aprtui.inference.reference.checkpoint import Checkpoint, checkpoint_of
from aprtui.inference.reference.lockstep import ErrorSum, LockstepObserver, SourceRecorder
from aprtui.inference.reference.model import ReferenceModel, Runtime, Unit
from aprtui.inference.reference.twin import Twin, twin_of
from aprtui.inference.samples import Samples, samples_of
from aprtui.inference.text import compare_texts
from aprtui.inference.token_swap import token_swap

Progress = Callable[[int, int, str], None]

_ELEMENTS = 1 << 22
"""Logits of one model that are in memory at a time."""

_ENGINE_POSITIONS = 64
"""Positions at which llama.cpp runs the product as well."""

_OTHER_CODE = {"sdpa": "eager", "eager": "sdpa"}


@dataclass(frozen=True, slots=True)
class Request:
    """What to measure.

    Attributes:
        prompts: Texts to run the models on, beside the probe texts; they are generated from too.
        device: "cpu", "cuda" or "cuda:N".
        tokens: Tokens to generate from each prompt; 0 for no text.
    """

    prompts: tuple[str, ...] = ()
    device: str = "cpu"
    tokens: int = 16


@dataclass(frozen=True, slots=True)
class Pair:
    """Two models and how they correspond.

    Attributes:
        source: A.
        target: B.
        plan: Their layout plan.
        reference: Where the layout rules take architecture and head counts from.
    """

    source: Model
    target: Model
    plan: LayoutPlan
    reference: Model


def measure_behaviour(pair: Pair, request: Request, progress: Progress | None = None) -> Behaviour:
    """Run both models, the twin, and the source on other code, on the same token ids in the same runtime.

    Args:
        pair: The models.
        request: What to measure.
        progress: Told after each part of a model: bytes of float32 weights so far, bytes in all, name.

    Raises:
        CannotRunError: The source cannot be run here.
        NotAModelError: The target's files make no model; `file` is the target's.
    """
    return _Measurement(pair, request, progress).result()


class _Measurement:
    def __init__(self, pair: Pair, request: Request, progress: Progress | None) -> None:
        self.started = monotonic()
        self.pair, self.request = pair, request
        self.runtime = Runtime(check_device(request.device))
        self.not_checked: list[str] = []
        self.twin_fails = ""
        self._first: list[torch.Tensor] = []
        source = checkpoint_of(pair.source)
        self.twin = self._twin(source)
        self.source = ReferenceModel(source, self.runtime)
        self.target = ReferenceModel(checkpoint_of(pair.target), self.runtime)
        self.samples = self._samples()
        self._require_memory()
        self._done, self._progress = 0, progress
        passes = [self.source, self.source, self.target, *([self.source] if self.twin.checkpoint else [])]
        self._total = sum(model.nbytes for model in passes)

    def result(self) -> Behaviour:
        """Everything."""
        ids, kept, following = batch(self.samples.ids)
        with tempfile.TemporaryDirectory(prefix="aprtui-layers-") as folder:
            recorder = SourceRecorder(self.source, Path(folder), kept)
            source = self.source.hidden(ids, recorder)
            self._tell_bytes(self.source.nbytes, "source")
            observer = LockstepObserver(recorder, self._tell)
            target = self.target.hidden(ids, observer)
            twin_model, twin, twin_errors = self._run_twin(ids, recorder)
        other = self._other_code(ids)
        hidden = [values[kept] for values in (source, target)]
        records, head, equal = self._logits(
            hidden, following, (twin_model, None if twin is None else twin[kept]), other, kept
        )
        layers = _with_twin(observer.errors, twin_errors, self.twin, bool(self.twin_fails))
        allowed = records["twin"] or records["floor"]
        limit = inf if self.twin_fails else 2 * (allowed.max_abs_delta if allowed else 0.0)
        texts = compare_texts(self.pair, (self.source, self.target), self.request, limit, self.not_checked)
        swap = token_swap(self.pair, (self.source, self.target), self.samples)
        target_record = records["target"]
        assert target_record is not None
        twin_record, floor = records["twin"], records["floor"]
        return Behaviour(
            runtime=f"{self.runtime.words}; token ids: {self.samples.how}",
            lossless=self.twin.lossless,
            twin_types=self.twin.types,
            target=target_record.statistics(),
            twin=twin_record.statistics() if twin_record else None,
            floor=floor.statistics() if floor else None,
            excess=target_record.excess_over(twin_record) if twin_record else None,
            equals_twin=equal,
            prompts=target_record.prompts(self.samples.texts, self.samples.ids),
            layers=(*layers, *head),
            texts=texts,
            swap=swap,
            llama_cpp=self._llama_cpp(),
            seconds=monotonic() - self.started,
            peak_bytes=peak_bytes(),
            not_checked=tuple(dict.fromkeys(self.not_checked)),
        )

    def _twin(self, source: Checkpoint) -> Twin:
        try:
            return twin_of(self.pair.plan, source, self.pair.target, self.pair.reference)
        except CannotRunError as error:
            self.twin_fails = error.problem
            self.not_checked.append(error.problem)
            return Twin(None, lossless=False, types=())

    def _samples(self) -> Samples:
        sizes = [model.checkpoint.config for model in (self.source, self.target)]
        vocabulary = min(int(config.get("vocab_size") or 0) for config in sizes)
        contexts = [config.get("max_position_embeddings") or config.get("n_positions") for config in sizes]
        context = min((number for number in contexts if isinstance(number, int) and number > 0), default=4096)
        return samples_of(self.pair.source, self.request.prompts, vocabulary, context)

    def _require_memory(self) -> None:
        """One unit of the largest model, its activations, and the heads of up to four models at once."""
        positions = sum(map(len, self.samples.ids))
        heads = max(model.units[-1].nbytes for model in (self.source, self.target))
        activations = 64 * positions * max(1, int(self.source.checkpoint.config.get("hidden_size") or 4096))
        models = max(self.source.largest_unit, self.target.largest_unit)
        require(models + 4 * heads + activations + 128 * _ELEMENTS, self.runtime.device, "a run layer by layer")

    def _run_twin(
        self, ids: torch.Tensor, recorder: SourceRecorder
    ) -> tuple[ReferenceModel | None, torch.Tensor | None, list[LayerError]]:
        if self.twin.checkpoint is None:
            return None, None, []
        model = ReferenceModel(self.twin.checkpoint, self.runtime)
        observer = LockstepObserver(recorder, self._tell)
        return model, model.hidden(ids, observer), observer.errors

    def _other_code(self, ids: torch.Tensor) -> tuple[ReferenceModel, torch.Tensor] | None:
        """The source on other attention code: what arithmetic alone changes."""
        other = replace(self.runtime, attention=_OTHER_CODE[self.source.attention])
        model = ReferenceModel(self.source.checkpoint, other)
        if model.attention == self.source.attention:
            self.not_checked.append("noise floor: transformers has one attention code for this architecture")
            return None
        hidden = model.hidden(ids)
        self._tell_bytes(model.nbytes, "noise floor")
        return model, hidden

    def _logits(
        self,
        hidden: Sequence[torch.Tensor],
        following: torch.Tensor,
        twin: tuple[ReferenceModel | None, torch.Tensor | None],
        other: tuple[ReferenceModel, torch.Tensor] | None,
        kept: torch.Tensor,
    ) -> tuple[dict[str, LogitRecord | None], tuple[LayerError, ...], bool]:
        """Logits of all models, some positions at a time; the head's own error beside them."""
        source, target = hidden
        twin_model, twin_hidden = twin
        records: dict[str, LogitRecord | None] = {"target": LogitRecord()}
        records["twin"] = LogitRecord() if twin_model is not None else None
        records["floor"] = LogitRecord() if other is not None else None
        own, chain, twin_own, equal = ErrorSum(), ErrorSum(), ErrorSum(), True
        step = max(1, _ELEMENTS // max(1, int(self.source.checkpoint.config.get("vocab_size") or 1)))
        models = [self.source, self.target, *([twin_model] if twin_model else []), *([other[0]] if other else [])]
        with ExitStack() as stack:
            for model in models:
                stack.enter_context(model.kept())
            for at in range(0, len(source), step):
                span = slice(at, at + step)
                expected = self.source.logits(source[span])
                found = self.target.logits(target[span])
                _add(records["target"], expected, found, following[span])
                self._keep(found)
                same = expected
                if twin_model is not None and twin_hidden is not None:
                    same = twin_model.logits(twin_hidden[span])
                    _add(records["twin"], expected, same, following[span])
                    twin_own.add(expected, twin_model.logits(source[span]))
                if other is not None:
                    _add(records["floor"], expected, other[0].logits(other[1][kept][span]), following[span])
                equal = equal and torch.equal(found, same)
                width = min(expected.shape[1], found.shape[1])
                chain.add(expected[:, :width], found[:, :width])
                alike = source.shape == target.shape
                fed = self.target.logits(source[span]) if alike and not torch.equal(source, target) else found
                own.add(expected[:, :width], fed[:, :width])
        explained = None if twin_model is None else twin_own.result().nmse
        head = LayerError("lm_head", "", own.result(), chain.result(), inf if self.twin_fails else explained)
        return records, (head,), equal

    def _keep(self, logits: torch.Tensor) -> None:
        """Keep the product's first logits for `_llama_cpp`."""
        room = _ENGINE_POSITIONS - sum(map(len, self._first))
        if room > 0:
            self._first.append(logits[:room].cpu())

    def _llama_cpp(self) -> LogitStatistics | None:
        """What llama.cpp makes of the same file, in its own arithmetic but without rounding keys and values."""
        target = self.pair.target
        if target.format is not Format.GGUF or installed_version() is None:
            return None
        sequences: list[tuple[int, ...]] = []
        for ids in self.samples.ids:
            if sum(map(len, sequences)) + len(ids) <= _ENGINE_POSITIONS:
                sequences.append(ids)
            else:
                break
        size = sum(tensor.nbytes for tensor in target.container.tensors)
        try:
            require(size + size // 4, "cpu", "llama.cpp")
            found = llama_logits(target.container.files[0], sequences, exact=True)
        except AprtuiError as error:
            self.not_checked.append(f"llama.cpp on the same file: {error.problem}")
            return None
        record, reference = LogitRecord(), torch.cat(self._first)
        following = batch(sequences)[2]
        theirs = torch.from_numpy(np.concatenate(found))
        record.add(reference[: len(theirs)], theirs, following)
        return record.statistics()

    def _tell(self, unit: Unit) -> None:
        self._tell_bytes(unit.nbytes, unit.name)

    def _tell_bytes(self, nbytes: int, name: str) -> None:
        self._done += nbytes
        if self._progress:
            self._progress(min(self._done, self._total), self._total, name)


def _add(record: LogitRecord | None, expected: torch.Tensor, found: torch.Tensor, following: torch.Tensor) -> None:
    if record is not None:
        record.add(expected, found, following)


def batch(sequences: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Sequences side by side, filled up at their end.

    Returns:
        ids int64 [sequences, positions]; kept bool of the same shape; following int64 [kept positions], the id behind
        each, -1 behind a text's last.
    """
    longest = max(map(len, sequences))
    ids = torch.zeros((len(sequences), longest), dtype=torch.long)
    kept = torch.zeros((len(sequences), longest), dtype=torch.bool)
    following: list[int] = []
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = torch.tensor(list(sequence))
        kept[row, : len(sequence)] = True
        following += [*sequence[1:], -1]
    return ids, kept, torch.tensor(following)


def _with_twin(
    errors: Sequence[LayerError], twin_errors: Sequence[LayerError], twin: Twin, without: bool
) -> list[LayerError]:
    """Errors with the twin's beside them; a lossy product without a twin is held to no limit."""
    if without:
        return [replace(error, twin_own=inf) for error in errors]
    if twin.checkpoint is None:
        return list(errors)
    own = {(error.unit, error.block): error.own.nmse for error in twin_errors}
    return [replace(error, twin_own=own.get((error.unit, error.block))) for error in errors]
