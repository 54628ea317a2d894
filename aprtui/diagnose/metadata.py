"""Causes in metadata: patterns over several keys first, then key by key, proved by comparing again with the repair."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from aprtui.compare.file_type import KEY
from aprtui.compare.metadata import compare_metadata
from aprtui.core.findings import Finding, LevelResult, judge_level
from aprtui.core.outcomes import Level
from aprtui.diagnose.found import Found, difference, failing, found_at
from aprtui.formats.container import Format
from aprtui.formats.metadata import ModelConfig
from aprtui.formats.metadata.architectures import gguf_name_of, row_pairing
from aprtui.formats.model import Model

_CONSTANTS: Mapping[str, Any] = {
    "max_position_embeddings": 32768,
    "rope_theta": 1e6,
    "rms_norm_eps": 1e-6,
    "bos_token_id": (151643,),
    "eos_token_id": (151645,),
}
"""What apr's export writes into every config.json (aprender's `converter/export.rs`)."""

_GUESSES: Mapping[str, tuple[Any, ...]] = {
    "rope_theta": (1e4, 1e6),
    "max_position_embeddings": (4096, 32768),
    "rms_norm_eps": (1e-6,),
    "architecture": ("qwen2",),
}
_SIZES_OF_7B: Mapping[str, int] = {
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "intermediate_size": 11008,
    "max_position_embeddings": 32768,
}
_TELLING = frozenset({"hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size"})
_FOLLOWING: Mapping[str, tuple[str, ...]] = {
    "hidden_size": ("head_dim", "partial_rotary_factor"),
    "num_attention_heads": ("head_dim", "partial_rotary_factor"),
    "head_dim": ("partial_rotary_factor", "query_pre_attn_scalar"),
    "num_hidden_layers": ("layer_types",),
    "sliding_window": ("layer_types",),
    "architecture": ("layer_types", "query_pre_attn_scalar"),
}
"""Keys that readers compute from others where a file does not state them."""

_HEADS = ("num_attention_heads", "num_key_value_heads")
_OF_OTHERS = ("sliding_window", "rope_scaling", "rope_type", "rope_local_base_freq")
"""Keys of other architectures, which apr's export does not write."""

_EPSILON_KEYS = ("attention.layer_norm_epsilon", "attention.layer_norm_rms_epsilon")
_ROPE_TENSORS = ("rope_freqs.weight",)

Pattern = Callable[["_Metadata"], Iterator[Found]]


def diagnose_metadata(source: Model, target: Model, result: LevelResult | None) -> list[Found]:
    """Causes of what failed at the metadata level."""
    found = failing(result)
    return list(_Metadata(source, target, found).causes()) if found else []


def with_causes_beneath(
    source: Model, target: Model, findings: Sequence[Finding], known: Sequence[Found], layer: int
) -> list[Found]:
    """The known causes, and those of keys that only fail under their repairs.

    Args:
        source: A.
        target: B.
        findings: What fails under the repairs of the known causes.
        known: Causes found so far.
        layer: In which round these came to light.
    """
    stated, values = target.config.explicit, target.config.values
    # Readers ignore a pattern of layers where there is no window: it is in the file all the same.
    ignored = {finding.subject for finding in findings if finding.subject in stated - values.keys()}
    window = next((cause for cause in known if ignored and "sliding_window" in cause.members), None)
    if window is None:
        ignored = set()
    also = frozenset((Level.METADATA, name) for name in ignored)
    kept = [replace(cause, accounts_for=cause.accounts_for | also) if cause is window else cause for cause in known]
    left = [finding for finding in findings if finding.subject not in ignored]
    beneath = diagnose_metadata(source, target, judge_level(Level.METADATA, left, checked=len(left)))
    return [*kept, *(replace(cause, layer=layer) for cause in beneath)]


def still_failing(source: Model, target: Model, causes: list[Found], via: Sequence[Format] = ()) -> tuple[Finding, ...]:
    """What fails at the metadata level once every key that a cause names has the source's value."""
    named = {name for cause in causes for level, name in cause.accounts_for if level is Level.METADATA}
    whole = "missing" in named or "config.json" in named
    return compare_metadata(source.config, _repaired(source.config, target.config, named, whole=whole), via).failures


def _repaired(source: ModelConfig, target: ModelConfig, named: set[str], *, whole: bool) -> ModelConfig:
    keys = set(source.values) | {"rope_type"} if whole else named
    values = {name: value for name, value in target.values.items() if name not in keys}
    values |= {name: source.values[name] for name in keys if name in source.values}
    architecture, raw = target.architecture, target.raw_architecture
    if whole or "architecture" in named:
        architecture = source.architecture
        in_gguf = target.format is Format.GGUF
        raw = gguf_name_of(architecture or "") if in_gguf else source.raw_architecture
    pairing = next((row_pairing(source.architecture or "", order) for order in target.row_orders), None)
    if "rope_type" in keys and pairing is not None:
        values["rope_type"] = pairing
    return replace(
        target,
        architecture=architecture,
        raw_architecture=raw,
        values=values,
        explicit=target.explicit | (keys & values.keys()),
        problems=tuple(problem for problem in target.problems if problem.subject not in {*named, "config.json"}),
    )


class _Metadata:
    def __init__(self, source: Model, target: Model, found: dict[str, list[Finding]]) -> None:
        self.source, self.target = source, target
        self.values = target.config.values
        self.left = found

    def causes(self) -> Iterator[Found]:
        """Patterns take the keys that they explain; what is left is named key by key."""
        for pattern in _PATTERNS:
            for cause in pattern(self):
                yield cause
                for name in cause.members:
                    self.left.pop(name, None)
        while self.left:
            name = next(iter(self.left))
            names = [name, *self.following(name)]
            yield self.single(names)
            for taken in names:
                self.left.pop(taken, None)

    def following(self, *names: str) -> list[str]:
        """Failing keys that are only computed from these; a share of head_dim is, though its elements are stated."""
        stated = self.target.config.explicit
        if "head_dim" in names or "head_dim" not in stated:
            stated = stated - {"partial_rotary_factor"}
        keys = dict.fromkeys(key for name in names for key in _FOLLOWING.get(name, ()))
        return [key for key in keys if key in self.left and key not in names and key not in stated]

    def take(self, code: str, names: Sequence[str], evidence: str) -> Found:
        also = tuple((Level.INTEGRITY, name) for name in names)
        rope = tuple((Level.WEIGHTS, name) for name in _ROPE_TENSORS) if "rope_scaling" in names else ()
        return found_at(Level.METADATA, code, names, evidence, *also, *rope)

    def single(self, names: Sequence[str]) -> Found:
        name = names[0]
        findings = self.left[name]
        code = "metadata.changed" if name in self.target.config.explicit else "metadata.lost"
        if any("the value is not" in finding.message for finding in findings):
            code = "metadata.unusable_value"
        elif any(finding.message.startswith("contradicts") for finding in findings):
            code = "metadata.contradiction"
        elif name == "rope_type":
            code = "metadata.rope_type"
        return self.take(code, names, self.differences(names))

    def differences(self, names: Sequence[str]) -> str:
        return "; ".join(difference(self.left[name][0]) for name in names if name in self.left)


def _missing(data: _Metadata) -> Iterator[Found]:
    if "config.json" in data.left:
        names = [name for name in ("config.json", "missing") if name in data.left]
        found = data.take("metadata.not_json", names, data.left["config.json"][0].message)
        # The tokenizer is told by the same file that it cannot be parsed.
        yield replace(found, accounts_for=found.accounts_for | {(Level.TOKENIZER, "file")})
    elif "missing" in data.left:
        yield data.take("metadata.missing", ["missing"], data.left["missing"][0].message)
    elif data.left and data.target.config.raw_architecture is None and not data.target.config.explicit & _TELLING:
        yield data.take("metadata.missing", list(data.left), "neither the architecture nor any size is stated")


def _constant_config(data: _Metadata) -> Iterator[Found]:
    if data.target.format is not Format.SAFETENSORS or data.target.config.raw_architecture != "qwen2":
        return
    constants = [name for name, value in _CONSTANTS.items() if _is(data.values.get(name), value)]
    stated = data.target.config.explicit & set(constants)
    if len(stated) < len(_CONSTANTS) - 2 or not {"bos_token_id", "eos_token_id"} & stated:
        return
    suspects = (*_CONSTANTS, *_HEADS, "architecture", "tie_word_embeddings", "head_dim", "layer_types")
    names = [name for name in data.left if name in suspects or name in _OF_OTHERS]
    if data.values.get("vocab_size") == data.source.config.values.get("hidden_size"):
        # Sizes were read from shapes, dims the wrong way round.
        names += [name for name in ("vocab_size", "intermediate_size") if name in data.left]
    if names:
        yield data.take("metadata.constant_config", names, data.differences(names))


def _guessed(data: _Metadata) -> Iterator[Found]:
    hidden = data.values.get("hidden_size")
    if not isinstance(hidden, int) or data.values.get("num_attention_heads") != max(1, hidden // 64):
        return
    names = [name for name in _HEADS if name in data.left]
    for name, guesses in _GUESSES.items():
        value = data.target.config.architecture if name == "architecture" else data.values.get(name)
        if name in data.left and any(_is(value, guess) for guess in guesses):
            names.append(name)
    enough = 2 if "num_attention_heads" in names else 3
    if len(names) >= enough and set(names) & {*_HEADS, "architecture"}:
        names += data.following(*names)
        yield data.take("metadata.guessed", names, data.differences(names))


def _sizes_of_7b(data: _Metadata) -> Iterator[Found]:
    names = [name for name, value in _SIZES_OF_7B.items() if name in data.left and data.values.get(name) == value]
    if len(names) > 2:
        names += data.following(*names)
        yield data.take("metadata.constants_of_7b", names, data.differences(names))


def _exchanged(data: _Metadata) -> Iterator[Found]:
    names = ["hidden_size", "vocab_size"]
    one, other = (data.source.config.values.get(name) for name in names)
    found = tuple(data.values.get(name) for name in names)
    # A vocabulary that became smaller may pass where llama.cpp cuts it; the shape of the embedding contradicts it.
    if "hidden_size" in data.left and found == (other, one) and one != other:
        names += data.following("hidden_size")
        yield data.take("metadata.hidden_vocab_swapped", names, data.differences(names))


def _kv_heads(data: _Metadata) -> Iterator[Found]:
    name = "num_key_value_heads"
    if name in data.left and data.values.get(name) == data.values.get("num_attention_heads"):
        yield data.take("metadata.kv_heads_as_heads", [name], data.differences([name]))


def _head_dim(data: _Metadata) -> Iterator[Found]:
    sizes = {**data.source.config.values, **data.values}
    hidden, heads = sizes.get("hidden_size"), sizes.get("num_attention_heads")
    if "head_dim" not in data.left or not isinstance(hidden, int) or not isinstance(heads, int) or heads < 1:
        return
    if data.values.get("head_dim") in (None, hidden // heads):
        names = ["head_dim", *data.following("head_dim")]
        yield data.take("metadata.head_dim_guessed", names, data.differences(names))


def _prefix(data: _Metadata) -> Iterator[Found]:
    if data.target.format is not Format.GGUF:
        return
    raw = data.target.container.metadata
    stated = raw.get("general.architecture")
    other = next((key.removesuffix(".block_count") for key in raw if key.endswith(".block_count")), None)
    names = [name for name, findings in data.left.items() if findings[0].found == "missing"]
    if other is not None and other != stated and names:
        # What a reader assumes in place of the keys that it does not find may differ too.
        evidence = f"keys begin with {other}. where general.architecture is {stated}"
        yield data.take("metadata.prefix", [name for name in data.left if name != "architecture"], evidence)


def _architecture(data: _Metadata) -> Iterator[Found]:
    if "architecture" in data.left:
        # What a class of transformers' configurations does with a window differs from class to class.
        windows = ("sliding_window", "layer_types") if data.target.format is Format.SAFETENSORS else ()
        names = [*windows, *data.following("architecture")]
        names = ["architecture", *(name for name in dict.fromkeys(names) if name in data.left)]
        yield data.take("metadata.architecture", names, data.differences(["architecture"]))


def _epsilon_key(data: _Metadata) -> Iterator[Found]:
    if "rms_norm_eps" not in data.left or data.target.format is not Format.GGUF:
        return
    stated = [key for key in data.target.container.metadata if key.endswith(_EPSILON_KEYS)]
    if data.left["rms_norm_eps"][0].found == "missing" and stated:
        yield data.take("metadata.epsilon_key", ["rms_norm_eps"], f"the file states {stated[0]}")


def _is(value: object, constant: object) -> bool:
    if isinstance(value, int | float) and isinstance(constant, int | float):
        return abs(value - constant) <= 1e-6 * abs(constant)
    if isinstance(value, tuple) and isinstance(constant, tuple):
        return set(constant) <= set(value)  # Other files beside it may state more ids.
    return value == constant


def _file_type(data: _Metadata) -> Iterator[Found]:
    for finding in data.left.get(KEY, []):
        yield data.take("metadata.file_type", [KEY], f"{finding.message}; it holds {finding.expected}")


_PATTERNS: tuple[Pattern, ...] = (
    _file_type,
    _missing,
    _constant_config,
    _prefix,
    _guessed,
    _sizes_of_7b,
    _exchanged,
    _kv_heads,
    _head_dim,
    _epsilon_key,
    _architecture,
)
