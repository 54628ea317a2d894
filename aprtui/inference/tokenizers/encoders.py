"""Which tokenizer speaks for a model, and the ids that it gives.

SafeTensors: its tokenizer.json, as `tokenizers` reads it. GGUF: llama.cpp's own tokenizer on the file's keys, where it
is installed. Everything else: a tokenizer rebuilt from what the file states.
"""

from __future__ import annotations

import json
import tempfile
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from aprtui.core.errors import AprtuiError
from aprtui.formats.container import Format
from aprtui.formats.gguf import GgufValue
from aprtui.formats.metadata.json_files import LARGEST_TOKENIZER, read_bounded
from aprtui.formats.model import Model
from aprtui.formats.tokenizer import TokenizerFacts, TokenizerModel
from aprtui.inference.child import run_module
from aprtui.inference.llama import LlamaRefusedError, LlamaTimeoutError, installed_version
from aprtui.inference.tokenizers.llama_vocabulary import llama_cpp_ids, llama_cpp_keys
from aprtui.inference.tokenizers.rebuild import CannotRebuild, rebuilt_json

_REMEMBERED = 64
_MODELS_AT_HAND = 2
_SECONDS = 120.0
_MODULE = "aprtui.inference.tokenizer_child"
_LONG = frozenset({"vocabulary", "merges", "tokenizer.ggml.tokens", "tokenizer.ggml.merges"})
"""What is digested as texts, which takes a tenth of the time."""


class NoEncoderError(AprtuiError):
    """A model's text cannot be turned into ids here; the message says what is missing.

    Attributes:
        refused: As in `EncodedTexts`.
    """

    refused: str = ""


@dataclass(frozen=True, slots=True)
class EncodedTexts:
    """Ids of texts.

    Attributes:
        how: Which tokenizer made them.
        ids: Ids of each text, with what the model puts in front of and behind a text.
        refused: Why llama.cpp does not load a GGUF's vocabulary, where that is the file's fault.
    """

    how: str
    ids: tuple[tuple[int, ...], ...]
    refused: str = ""


@dataclass(frozen=True, slots=True)
class _Stated:
    """What a model's tokenizer follows: several levels ask one model, and reading 150 000 tokens takes a while.

    Attributes:
        model: The model.
        digest: Of everything that decides which ids a text becomes.
        keys: A GGUF's own, for llama.cpp.
    """

    model: Model
    digest: str
    keys: Sequence[GgufValue]


_at_hand: OrderedDict[int, _Stated] = OrderedDict()
_known: OrderedDict[tuple[str, tuple[str, ...]], EncodedTexts] = OrderedDict()


def encode_texts(model: Model, texts: Sequence[str]) -> EncodedTexts:
    """Ids of texts as the model's own tokenizer gives them, special tokens in the text counting as such.

    What was asked before is remembered by the content of the tokenizer.

    Raises:
        NoEncoderError: The model has no tokenizer that can be run here, with the reason.
    """
    facts = model.tokenizer
    if facts is None or facts.stub or facts.vocabulary is None:
        raise NoEncoderError("it has no tokenizer" if facts is None else facts.stub or "it has no vocabulary")
    stated = _stated(model, facts)
    key = stated.digest, tuple(texts)
    if key not in _known:
        _known[key] = _encode(model, facts, key[1], stated.keys)
        while len(_known) > _REMEMBERED:
            _known.popitem(last=False)
    return _known[key]


def _stated(model: Model, facts: TokenizerFacts) -> _Stated:
    """Of the last models that were asked for, as a comparison has them; what is held keeps its id."""
    known = _at_hand.get(id(model))
    if known is None:
        keys = llama_cpp_keys(model.container.files[0]) if model.format is Format.GGUF else []
        known = _at_hand[id(model)] = _Stated(model, _digest(model, facts, keys), keys)
        while len(_at_hand) > _MODELS_AT_HAND:
            _at_hand.popitem(last=False)
    return known


def rebuilt_ids(model: Model, texts: Sequence[str]) -> tuple[tuple[int, ...], ...] | None:
    """Ids by a tokenizer rebuilt from a GGUF's facts, whoever else can speak; None where there can be none."""
    assert model.tokenizer is not None
    try:
        return _by_tokenizers(model, model.tokenizer, tuple(texts)).ids
    except NoEncoderError:
        return None


def _encode(model: Model, facts: TokenizerFacts, texts: tuple[str, ...], stored: Sequence[GgufValue]) -> EncodedTexts:
    """What llama.cpp says of a GGUF, else what `tokenizers` says."""
    if model.format is not Format.GGUF:
        return _by_tokenizers(model, facts, texts)
    if (llama := installed_version()) is None:
        return _by_tokenizers(model, facts, texts, "; llama.cpp is not installed")
    try:
        return EncodedTexts(f"llama.cpp (xllamacpp {llama})", _frozen(llama_cpp_ids(stored, texts)))
    except LlamaTimeoutError as error:
        return _by_tokenizers(model, facts, texts, f"; {error.problem}")
    except LlamaRefusedError as error:
        refused = error.problem if error.is_of_the_file else ""
        why = f"; llama.cpp: {error.problem}"
    try:
        return replace(_by_tokenizers(model, facts, texts, why), refused=refused)
    except NoEncoderError as reason:
        reason.refused = refused
        raise


def _by_tokenizers(model: Model, facts: TokenizerFacts, texts: tuple[str, ...], why: str = "") -> EncodedTexts:
    """Ids by tokenizer.json or a rebuilt tokenizer; `why` says what kept another one from speaking."""
    if find_spec("tokenizers") is None:
        raise NoEncoderError(f"tokenizers is not installed{why}", todo="pip install 'aprtui[run]'")
    by = f"(tokenizers {version('tokenizers')})"
    # What transformers loads, also where a tokenizer.model is beside it, which converters read.
    own = model.container.companions.get("tokenizer.json") if model.format is Format.SAFETENSORS else None
    if own is not None:
        name, content = f"tokenizer.json {by}", read_bounded(own, LARGEST_TOKENIZER).decode("utf-8", "replace")
    else:
        name = f"rebuilt from its {model.format} facts {by}{why}"
        try:
            content = json.dumps(rebuilt_json(facts))
        except CannotRebuild as reason:
            raise NoEncoderError(f"its tokenizer cannot be rebuilt: {reason}{why}") from None
    first, last = (_end(model, facts, kind) for kind in ("bos", "eos"))
    request = {"tokenizer": content, "texts": texts, "first": first, "last": last}
    return EncodedTexts(name, _ask(request))


def _ask(request: dict[str, Any]) -> tuple[tuple[int, ...], ...]:
    """What `tokenizers` answers in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="aprtui-tokenizer-") as name:
        folder = Path(name)
        result = run_module(_MODULE, folder, request, time_limit=_SECONDS)
        path = folder / "answer.json"
        if result.timed_out:
            raise NoEncoderError(f"tokenizers did not answer in {_SECONDS:.0f} s")
        answer: dict[str, Any] = json.loads(path.read_bytes()) if path.is_file() else {"refused": result.ending}
    if "refused" in answer:
        raise NoEncoderError(f"tokenizers does not read it: {answer['refused']}")
    return _frozen(answer["ids"])


def _end(model: Model, facts: TokenizerFacts, kind: str) -> tuple[int, ...]:
    """The id that begins (or ends) a text, where one does."""
    if not (facts.add_bos if kind == "bos" else facts.add_eos):
        return ()
    special = {"bos": "cls", "eos": "sep"}[kind]
    if facts.model is TokenizerModel.WORDPIECE and special in facts.special_ids:
        return (facts.special_ids[special],)
    number = model.one_id(kind)
    return () if number is None else (number,)


def _frozen(ids: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(each) for each in ids)


def _digest(model: Model, facts: TokenizerFacts, stored: Sequence[GgufValue]) -> str:
    """A digest of everything that decides which ids a text becomes."""
    digest = xxhash.xxh3_128()
    stated: dict[str, object] = {one.name: getattr(facts, one.name) for one in fields(facts)}
    stated |= {f"{kind}_token_id": model.one_id(kind) for kind in ("bos", "eos")}
    # llama.cpp is given all of these, also those that no other format has.
    stated |= {one.key: one.value for one in stored}
    stated["types"] = [(one.key, one.type, one.element) for one in stored]
    for name, value in sorted(stated.items()):
        if name in _LONG:
            continue
        digest.update(f"{name}=".encode("utf-8", "surrogateescape"))
        digest.update(value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode("utf-8", "replace"))
    for texts in (facts.vocabulary, facts.merges):
        held = list(texts or ())
        # With the lengths, since a text may hold any character; JSON may hold halves of surrogate pairs.
        digest.update(np.array([len(held), *map(len, held)]).tobytes())
        digest.update("".join(held).encode("utf-8", "surrogatepass"))
    own = model.container.companions.get("tokenizer.json")
    if own is not None:
        digest.update(read_bounded(own, LARGEST_TOKENIZER))
    return digest.hexdigest()
