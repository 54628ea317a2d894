"""Golden logits: what a source did, kept in one file, to compare a product with where the source is not at hand.

A SafeTensors file: the logits of each position as float32, the expected-loss twin's divergence position by position
where an output type was named, and everything else as JSON in `__metadata__`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import numpy as np
import torch
from numpy.typing import NDArray

from aprtui.convert.builtin.tensors import product_tensors
from aprtui.core.behaviour import Behaviour, LogitStatistics, other_tokens
from aprtui.core.dtypes import DType
from aprtui.core.errors import AprtuiError, FormatError
from aprtui.core.json_values import from_json, to_json
from aprtui.core.scenarios import PROMPTS
from aprtui.formats.container import Format, StoredTensor
from aprtui.formats.digest import file_digest
from aprtui.formats.layout.plan import embedding_name
from aprtui.formats.model import Model
from aprtui.formats.output import TensorToWrite
from aprtui.formats.output_types import OutputTypes, parse_output_type
from aprtui.formats.safetensors import read_safetensors, write_safetensors
from aprtui.formats.views import Stored
from aprtui.inference.errors import CannotRunError, NotAModelError
from aprtui.inference.logits import LogitRecord
from aprtui.inference.machine import check_device, peak_bytes, require
from aprtui.inference.measure import batch
from aprtui.inference.reference.checkpoint import checkpoint_of
from aprtui.inference.reference.model import ReferenceModel, Runtime
from aprtui.inference.reference.twin import Twin, twin_as
from aprtui.inference.samples import LONGEST, context_of, samples_of
from aprtui.inference.text import Answers, generated, require_whole
from aprtui.inference.tokenizers import NoEncoderError, encode_texts
from aprtui.inference.tokenizers.decode import text_of
from aprtui.inference.tokenizers.ends import ends_of

CONTINUED = 16
"""Tokens that the source says to each prompt, where a whole model fits into memory."""

ROUNDING_LOGIT = 1e-4
"""Largest difference of two logits that other float32 arithmetic explains; llama.cpp and torch differ by 3e-5."""

MOST_POSITIONS = 256
"""Positions that are kept: 150 MiB for a vocabulary of 152 000 tokens."""

_KEY = "aprtui.golden"
_VERSION = 1
_STEP = 64

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class GoldenFacts:
    """What a golden file says about itself.

    Attributes:
        version: Of this file format.
        source: Path of the source.
        files: Digest of each of its files by name.
        texts: What was run.
        ids: Token ids of each text.
        how: Which tokenizer made them.
        runtime: What ran the source.
        outtype: Output type of the twin; None without one.
        lossless: The output type loses nothing.
        twin_types: Types of the twin.
        twin: The twin's logits; None where it is the source itself, or there is none.
        no_text: Why there is no text to judge; empty where there is. The source continued the first texts itself.
        vocabularies: How many tokens a product may have; empty where only the logits tell.
        encoded_from: From this text on, ids are what the source's tokenizer makes of it, or the beginning of that; None
            where nothing is known of that.
    """

    version: int
    source: str
    files: Mapping[str, str]
    texts: tuple[str, ...]
    ids: tuple[tuple[int, ...], ...]
    how: str
    runtime: str
    outtype: str | None = None
    lossless: bool = False
    twin_types: tuple[str, ...] = ()
    twin: LogitStatistics | None = None
    no_text: str = ""
    vocabularies: tuple[int, ...] = ()
    encoded_from: int | None = None

    @property
    def encoded(self) -> dict[str, tuple[int, ...]]:
        """Texts and what the source's tokenizer makes of them, or the beginning of that."""
        start = len(self.texts) if self.encoded_from is None else self.encoded_from
        return dict(zip(self.texts[start:], self.ids[start:], strict=True))


@dataclass(slots=True)
class _Kept:
    """Arrays of a golden file."""

    logits: NDArray[np.float32]
    twin: dict[str, NDArray[np.float32]] = field(default_factory=dict)


def save_golden(
    source: Model,
    path: Path,
    *,
    prompts: Sequence[str] = (),
    device: str = "cpu",
    product: tuple[Format, OutputTypes] | None = None,
) -> GoldenFacts:
    """Run a source and keep what it did.

    Args:
        source: The source.
        path: The file to write.
        prompts: Texts beside the probe texts.
        device: Where it runs.
        product: Format and output type of the products that will be compared; without it only exact equality can be
            judged.

    Raises:
        CannotRunError: The source cannot be run here.
        NotAModelError: The source's logits are not finite.
        AprtuiError: The file cannot be written.
    """
    runtime = Runtime(check_device(device))
    checkpoint = checkpoint_of(source)
    twin = twin_as(source, checkpoint, *product) if product is not None else Twin(None, lossless=False, types=())
    model = ReferenceModel(checkpoint, runtime)
    vocabulary = int(checkpoint.config.get("vocab_size") or 0)
    samples = samples_of(source, prompts, vocabulary, context_of(source))
    continued, no_text = _continued(model, source, prompts or PROMPTS)
    ids, texts = _cut((*continued.values(), *samples.ids), (*continued, *samples.texts))
    positions = sum(map(len, ids))
    require(2 * model.largest_unit + 8 * positions * vocabulary, runtime.device, "golden logits")
    logits = _logits_of(model, ids)
    if not bool(torch.isfinite(logits).all()):
        raise NotAModelError("the source's logits are not finite", file=source.path)
    kept, statistics = _Kept(logits.numpy()), None
    if twin.checkpoint is not None:
        statistics, kept.twin = _run_twin(ReferenceModel(twin.checkpoint, runtime), logits, ids)
    facts = GoldenFacts(
        version=_VERSION,
        source=str(source.path),
        files={file.name: file_digest(file) for file in source.container.files},
        texts=texts,
        ids=ids,
        how=samples.how,
        runtime=runtime.words,
        outtype=product[1].text if product is not None else None,
        lossless=twin.lossless,
        twin_types=twin.types,
        twin=statistics,
        no_text="" if continued or not samples.random else no_text,
        vocabularies=tuple(sorted({vocabulary, _tokens_in_gguf(source) or vocabulary})),
        encoded_from=None if samples.random else len(continued),
    )
    _write(path, kept, facts)
    return facts


def _run_twin(
    twin: ReferenceModel, logits: torch.Tensor, ids: Sequence[Sequence[int]]
) -> tuple[LogitStatistics, dict[str, NDArray[np.float32]]]:
    """The twin against the source, and what is kept of it."""
    found = _logits_of(twin, ids)
    if not bool(torch.isfinite(found).all()):
        raise CannotRunError("there is no expected-loss twin: its logits are not finite", file=twin.checkpoint.path)
    record = _record(logits, found, batch(ids)[2])
    named = {"twin.kld": record.kld, "twin.same_top": record.same_top}
    arrays = {name: np.concatenate(values).astype(np.float32) for name, values in named.items()}
    return record.statistics(), arrays


def _tokens_in_gguf(source: Model) -> int | None:
    """How many tokens a GGUF of the source has, where that follows: a layout rule may cut them."""
    embedding = embedding_name(source)
    try:
        tensors = product_tensors(source, Format.GGUF, parse_output_type("lossless"))
    except AprtuiError:
        return None
    return next((tensor.view.shape[0] for tensor in tensors if tensor.canonical == embedding), None)


def _write(path: Path, kept: _Kept, facts: GoldenFacts) -> None:
    arrays = {"logits": kept.logits, **kept.twin}
    tensors = [
        TensorToWrite(name, DType.F32, values.shape, iter([np.ascontiguousarray(values).reshape(-1).view(np.uint8)]))
        for name, values in arrays.items()
    ]
    write_safetensors(path, tensors, {_KEY: json.dumps(to_json(facts))})


def compare_with_golden(path: Path, target: Model, *, device: str = "cpu") -> tuple[GoldenFacts, Behaviour]:
    """Run a product on the token ids of a golden file.

    Raises:
        FormatError: The file is no golden file.
        NotAModelError: The product makes no model that runs.
        CannotRunError: This machine cannot run it.
    """
    started = monotonic()
    facts, kept = read_golden(path)
    runtime = Runtime(check_device(device))
    model = ReferenceModel(checkpoint_of(target), runtime)
    vocabulary = int(model.checkpoint.config.get("vocab_size") or 0)
    if max(map(max, facts.ids)) >= vocabulary:
        raise NotAModelError(f"the golden ids do not fit its {vocabulary} tokens", file=target.path)
    require(2 * model.largest_unit + 8 * kept.logits.size, runtime.device, "the product layer by layer")
    expected, found = torch.from_numpy(kept.logits), _logits_of(model, facts.ids)
    record, answers = _record(expected, found, batch(facts.ids)[2]), Answers()
    answers.add(expected, found)
    same = facts.runtime == runtime.words
    limit = 2 * (facts.twin.max_abs_delta if facts.twin is not None else 0.0 if same else ROUNDING_LOGIT)
    excess = None
    if facts.twin is not None:
        twin = LogitRecord(
            kld=[kept.twin["twin.kld"].astype(np.float64)], same_top=[kept.twin["twin.same_top"].astype(np.float64)]
        )
        excess = record.excess_over(twin)
    statistics, lossless = record.statistics(), facts.lossless or facts.outtype is None
    behaviour = Behaviour(
        runtime=f"{runtime.words}; golden logits: {facts.runtime}",
        lossless=lossless,
        twin_types=facts.twin_types,
        target=statistics,
        twin=facts.twin,
        floor=None,
        excess=excess,
        # A layout rule's arithmetic (norm + 1) is that of the source's own forward pass.
        equals_twin=lossless and not statistics.differing,
        same_arithmetic=same,
        prompts=record.prompts(facts.texts, facts.ids),
        layers=(),
        texts=() if facts.no_text else answers.texts(target.tokenizer, facts.texts, facts.ids, limit),
        swap=None,
        llama_cpp=None,
        seconds=monotonic() - started,
        peak_bytes=peak_bytes(),
        not_checked=("layers: the source is not here", *((f"text: {facts.no_text}",) if facts.no_text else ())),
        other_tokens="" if vocabulary in facts.vocabularies else other_tokens(vocabulary, kept.logits.shape[1]),
    )
    return facts, behaviour


def read_golden(path: Path) -> tuple[GoldenFacts, _Kept]:
    """Read a golden file.

    Raises:
        FormatError: It is none, or damaged.
    """
    container = read_safetensors(path)
    raw = container.metadata.get(_KEY)
    try:
        if not isinstance(raw, str):
            raise ValueError("it has no such metadata")
        facts = from_json(GoldenFacts, json.loads(raw))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"this is no golden file: {error}", file=path) from None
    tensors = {tensor.name: tensor for tensor in container.tensors}
    positions = sum(map(len, facts.ids))
    known = facts.version == _VERSION and "logits" in tensors and len(tensors["logits"].shape) == 2
    names = ["twin.kld", "twin.same_top"] if facts.twin is not None else []
    sizes = known and tensors["logits"].shape[0] == positions > 0 and len(facts.texts) == len(facts.ids)
    if not sizes or any(name not in tensors or tensors[name].shape != (positions,) for name in names):
        raise FormatError("this golden file is damaged, or of another version", file=path)
    if min(map(len, facts.ids)) < 1 or min(map(min, facts.ids)) < 0:
        raise FormatError("this golden file holds texts without tokens", file=path)
    if max(map(max, facts.ids)) >= tensors["logits"].shape[1]:
        raise FormatError("this golden file holds ids of tokens that have no logits", file=path)
    return facts, _Kept(_array(tensors["logits"]), {name: _array(tensors[name]) for name in names})


def _array(tensor: StoredTensor) -> NDArray[np.float32]:
    if tensor.dtype is not DType.F32 or not tensor.readable:
        raise FormatError("this golden file is damaged", file=tensor.file, place=f"tensor {tensor.name}")
    values = np.array(Stored(tensor).read(0, tensor.elements).data).view(np.float32).reshape(tensor.shape)
    if not np.isfinite(values).all():
        raise FormatError("this golden file is damaged: not finite", file=tensor.file, place=f"tensor {tensor.name}")
    return values


def _logits_of(model: ReferenceModel, ids: Sequence[Sequence[int]]) -> torch.Tensor:
    """float32 [positions of all sequences, tokens] on the CPU."""
    padded, kept, _ = batch(ids)
    hidden = model.hidden(padded)[kept]
    with model.kept():
        return torch.cat([model.logits(hidden[at : at + _STEP]).cpu() for at in range(0, len(hidden), _STEP)])


def _record(expected: torch.Tensor, found: torch.Tensor, following: torch.Tensor) -> LogitRecord:
    record = LogitRecord()
    for at in range(0, len(expected), _STEP):
        span = slice(at, at + _STEP)
        record.add(expected[span], found[span], following[span])
    return record


def _continued(model: ReferenceModel, source: Model, prompts: Sequence[str]) -> tuple[dict[str, tuple[int, ...]], str]:
    """Prompts with what the source says to them, as text and ids; or why there is nothing."""
    try:
        require_whole([model])
        encoded = encode_texts(source, prompts).ids
    except (CannotRunError, NoEncoderError) as error:
        return {}, error.problem
    ends, vocabulary = ends_of(source), int(model.checkpoint.config["vocab_size"])
    found = {}
    for prompt, ids in zip(prompts, encoded, strict=True):
        given = ids[: max(0, min(LONGEST, context_of(source)) - CONTINUED)]
        if given and max(given) < vocabulary:
            said = tuple(number for number, _ in generated(model, given, CONTINUED, ends))
            found[prompt + text_of(source.tokenizer, said)] = (*given, *said)
    return found, ""


def _cut(ids: Sequence[tuple[int, ...]], texts: Sequence[str]) -> tuple[tuple[tuple[int, ...], ...], tuple[str, ...]]:
    """The first texts, cut to the positions that are kept."""
    kept_ids, kept_texts, room = [], [], MOST_POSITIONS
    for text, each in zip(texts, ids, strict=True):
        if room:
            kept_ids.append(each[:room])
            kept_texts.append(text)
            room -= len(kept_ids[-1])
    return tuple(kept_ids), tuple(kept_texts)
