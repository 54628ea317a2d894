"""Measures what two models do: layers in lockstep, logits, the twin, the noise floor, text.

Everything that could not be measured stands in the result with its reason; only a source or a machine that cannot run
at all ends it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import inf, isfinite
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import torch

from aprtui.core.behaviour import Behaviour, LayerError, LogitStatistics, TextComparison, other_tokens
from aprtui.core.errors import AprtuiError
from aprtui.formats.container import Format
from aprtui.formats.layout.plan import embedding_name
from aprtui.inference.engines.llama_cpp import LlamaCppEngine
from aprtui.inference.errors import CannotRunError
from aprtui.inference.heads import ELEMENTS, FIRST, HeadPass, Runs, run_heads
from aprtui.inference.llama import LlamaRefusedError, installed_version, llama_logits
from aprtui.inference.logits import LogitRecord
from aprtui.inference.machine import check_device, peak_bytes, require
from aprtui.inference.reference.checkpoint import Checkpoint, checkpoint_of
from aprtui.inference.reference.lockstep import LockstepObserver
from aprtui.inference.reference.model import ReferenceModel, Runtime, Unit
from aprtui.inference.reference.recorder import SourceRecorder
from aprtui.inference.reference.twin import Twin, twin_of
from aprtui.inference.request import Pair, Request
from aprtui.inference.samples import Samples, context_of, samples_of
from aprtui.inference.text import compare_texts
from aprtui.inference.token_swap import token_swap
from aprtui.inference.tokenizers import NoEncoderError

Progress = Callable[[int, int, str], None]

_OTHER_CODE = {"sdpa": "eager", "eager": "sdpa"}


def measure_behaviour(
    pair: Pair, request: Request, progress: Progress | None, told: Callable[[LayerError], None]
) -> Behaviour:
    """Run both models, the twin, and the source on other code, on the same token ids in the same runtime.

    Args:
        pair: The models.
        request: What to measure.
        progress: Told after each part of a model: bytes of float32 weights so far, bytes in all, name.
        told: Told of each part of the target as soon as it was held to the source's, with what the twin explains.

    Raises:
        CannotRunError: The source cannot be run here.
        NotAModelError: The target's files make no model; `file` is the target's.
    """
    return _Measurement(pair, request, progress, told).result()


class _Measurement:
    def __init__(
        self, pair: Pair, request: Request, progress: Progress | None, told: Callable[[LayerError], None]
    ) -> None:
        self.started, self._tell_layer = monotonic(), told
        self.pair, self.request = pair, request
        self.runtime = Runtime(check_device(request.device))
        self.not_checked: list[str] = []
        self.twin_fails = self.llama_refused = ""
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
            recorder = SourceRecorder(self.source, Path(folder), kept, hidden_size(self.source.checkpoint.config))
            source = self.source.hidden(ids, recorder)[kept]
            self.not_checked += [recorder.problem] if recorder.problem else []
            self._tell_bytes(self.source.nbytes, "source")
            # The twin runs first: then every error of the target can be told with what the conversion explains of it.
            twin, explained = self._run_twin(ids, kept, recorder)
            observer = LockstepObserver(recorder, self._tell, explained, self._tell_layer)
            target = self.target.hidden(ids, observer)[kept]
        runs = Runs((self.source, source), (self.target, target), twin, self._other_code(ids, kept))
        heads = run_heads(runs, following)
        if not isfinite(heads.target.squared_source):
            raise CannotRunError("the source's logits are not finite")
        head = self._head_error(heads)
        self._tell_layer(head)
        twin_record, floor = (None if record is None else record.statistics() for record in (heads.twin, heads.floor))
        allowed = twin_record or floor
        llama_cpp = self._llama_cpp(heads.first)
        limit = inf if self.twin_fails else 2 * (allowed.max_abs_delta if allowed else 0.0)
        return Behaviour(
            runtime="; ".join(self._runtime(llama_cpp is not None)),
            lossless=self.twin.lossless,
            twin_types=self.twin.types,
            target=heads.target.statistics(),
            twin=twin_record,
            floor=floor,
            excess=heads.target.excess_over(heads.twin) if heads.twin else None,
            equals_twin=heads.equals_twin,
            prompts=heads.target.prompts(self.samples.texts, self.samples.ids),
            layers=(*observer.errors, head),
            texts=self._texts(heads, limit),
            swap=token_swap(self.pair, (self.source, self.target), self.samples),
            llama_cpp=llama_cpp,
            llama_refused=self.llama_refused,
            other_tokens=self._other_tokens(),
            seconds=monotonic() - self.started,
            peak_bytes=peak_bytes(),
            not_checked=tuple(dict.fromkeys(self.not_checked)),
        )

    def _runtime(self, ran_llama_cpp: bool) -> Iterator[str]:
        """Everything that took part, with its version."""
        yield self.runtime.words
        yield f"token ids: {self.samples.how}"
        if ran_llama_cpp or self.llama_refused:
            identity = LlamaCppEngine().identity
            yield f"llama.cpp: {identity.version} ({identity.digest})"

    def _other_tokens(self) -> str:
        """Whether the product's tokens are as many as the layout rules say; gemma3's are cut in GGUF."""
        source, target = (int(model.checkpoint.config["vocab_size"]) for model in (self.source, self.target))
        embedding = embedding_name(self.pair.target)
        ruled = (pair.source.shape[0] for pair in self.pair.plan.pairs if pair.name == embedding)
        return other_tokens(target, next(ruled, source))

    def _head_error(self, heads: HeadPass) -> LayerError:
        explained = None if heads.twin is None else heads.twin_own.result().nmse
        return LayerError(
            "lm_head", "", heads.own.result(), heads.chain.result(), inf if self.twin_fails else explained
        )

    def _texts(self, heads: HeadPass, limit: float) -> tuple[TextComparison, ...]:
        """Greedy text; where a whole model does not fit, what both models say behind the tokens they were run on."""
        if not self.request.tokens:
            self.not_checked.append("text: not asked for")
            return ()
        try:
            texts, unusable = compare_texts(self.pair, (self.source, self.target), self.request, limit)
            self.not_checked += [f"text: {unusable}"] if unusable else []
            return texts
        except NoEncoderError as error:
            self.not_checked.append(f"text: the source has no tokens: {error.problem}")
            return ()
        except CannotRunError as error:
            if self.samples.random:
                self.not_checked.append(f"{error.problem}; there are no texts to judge it on without")
                return ()
            self.not_checked.append(f"{error.problem}; judged on the tokens of the texts instead")
            return heads.answers.texts(self.pair.source.tokenizer, self.samples.texts, self.samples.ids, limit)

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
        context = context_of(self.pair.source, self.pair.target)
        samples = samples_of(self.pair.source, self.request.prompts, vocabulary, context)
        self.not_checked += [samples.left_out] if samples.left_out else []
        return samples

    def _require_memory(self) -> None:
        models = (self.source, self.target)
        needed = needed_bytes(
            largest_unit=max(model.largest_unit for model in models),
            head=max(model.units[-1].nbytes for model in models),
            positions=len(self.samples.ids) * max(map(len, self.samples.ids)),
            config=self.source.checkpoint.config,
        )
        require(needed, self.runtime.device, "a run layer by layer")
        if self.runtime.device != "cpu":
            largest = max(model.largest_unit for model in models)
            require(largest, "cpu", f"a layer on its way to {self.runtime.device}")

    def _run_twin(
        self, ids: torch.Tensor, kept: torch.Tensor, recorder: SourceRecorder
    ) -> tuple[tuple[ReferenceModel, torch.Tensor] | None, Callable[[str, str], float | None]]:
        """The twin with its hidden states, and its own error by unit and module; without one nothing is explained.

        A lossy product whose twin cannot be made is held to no limit.
        """
        if self.twin.checkpoint is None:
            unlimited = inf if self.twin_fails else None
            return None, lambda _unit, _block: unlimited
        model = ReferenceModel(self.twin.checkpoint, self.runtime)
        observer = LockstepObserver(recorder, self._tell)
        hidden = model.hidden(ids, observer)[kept]
        own = {(error.unit, error.block): error.own.nmse for error in observer.errors}
        return (model, hidden), lambda unit, block: own.get((unit, block))

    def _other_code(self, ids: torch.Tensor, kept: torch.Tensor) -> torch.Tensor | None:
        """The source on other attention code: what arithmetic alone changes."""
        other = replace(self.runtime, attention=_OTHER_CODE[self.source.attention])
        model = ReferenceModel(self.source.checkpoint, other)
        if model.attention == self.source.attention:
            self.not_checked.append("noise floor: transformers has one attention code for this architecture")
            return None
        hidden = model.hidden(ids)[kept]
        self._tell_bytes(model.nbytes, "noise floor")
        return hidden

    def _llama_cpp(self, first: list[torch.Tensor]) -> LogitStatistics | None:
        """What llama.cpp makes of the same file, in its own arithmetic but without rounding keys and values."""
        target = self.pair.target
        if target.format is not Format.GGUF or installed_version() is None:
            return None
        sequences: list[tuple[int, ...]] = []
        for ids in self.samples.ids:
            if room := FIRST - sum(map(len, sequences)):
                sequences.append(ids[:room])
        size = sum(tensor.nbytes for tensor in target.container.tensors)
        try:
            require(size + size // 4, "cpu", "llama.cpp")
            found = llama_logits(target.container.files[0], sequences, exact=True)
        except LlamaRefusedError as error:
            if error.is_of_the_file:
                self.llama_refused = error.problem
            else:
                self.not_checked.append(f"llama.cpp on the same file: {error.problem}")
            return None
        except AprtuiError as error:
            self.not_checked.append(f"llama.cpp on the same file: {error.problem}")
            return None
        record, reference = LogitRecord(), torch.cat(first)
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


def needed_bytes(*, largest_unit: int, head: int, positions: int, config: Mapping[str, Any]) -> int:
    """Memory of a run layer by layer: the layer that is the largest, or three heads; activations; room for logits.

    Args:
        largest_unit: Bytes of the largest layer or embedding in float32.
        head: Bytes of a head in float32.
        positions: Positions that run at once, filled up ones among them.
        config: The model's configuration.
    """
    hidden = hidden_size(config)
    inner = int(config.get("intermediate_size") or config.get("n_inner") or 4 * hidden)
    # A layer's inputs and outputs of both chains, queries, keys, values; gate, up and their product.
    activations = 4 * positions * (16 * hidden + 4 * inner)
    return max(largest_unit, 3 * head) + activations + 128 * ELEMENTS


def hidden_size(config: Mapping[str, Any]) -> int:
    """Features of a hidden state, by a model's configuration."""
    return int(config.get("hidden_size") or config.get("n_embd") or 4096)


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
