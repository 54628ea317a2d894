"""The metadata level: do both models say the same about themselves, whatever their formats call it?

Values are compared by meaning, with each format's defaults filled in. What a format has no place for is listed as not
checked; what it has a place for and lacks is a failure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from aprtui.core.findings import Finding, LevelResult, judge_level, on_side
from aprtui.core.outcomes import Level, Severity
from aprtui.formats.container import Format
from aprtui.formats.metadata import ModelConfig
from aprtui.formats.metadata.architectures import gguf_name_of, row_pairing
from aprtui.formats.metadata.gguf import SCALING_KEYS
from aprtui.formats.metadata.keys import KEYS, Key, can_hold
from aprtui.formats.metadata.values import Kind

# Without these, "no value" means "switched off": a value on one side only is a difference.
_OFF_WHEN_ABSENT = frozenset({"sliding_window", "rope_scaling", "attn_logit_softcapping", "final_logit_softcapping"})
_JUDGED_APART = frozenset({"rope_type", "tie_word_embeddings", "vocab_size"})
_DIMENSIONS = frozenset({"hidden_size", "num_hidden_layers", "num_attention_heads"})
# What GGUF says of rope scaling: for these types the named fields, and tensors for the rest of the last two.
_SCALING_IN_GGUF = {
    "linear": frozenset({"factor"}),
    "yarn": frozenset(SCALING_KEYS),
    "llama3": frozenset[str](),
    "longrope": frozenset({"original_max_position_embeddings"}),
}


def compare_metadata(source: ModelConfig, target: ModelConfig, via: Collection[Format] = ()) -> LevelResult:
    """Compare every canonical key.

    Args:
        source: The reference.
        target: The product.
        via: Formats on the way, where the product was made in several hops: what one of them has no key for may be
            missing at the end.

    Returns:
        One finding for each key that differs, with the subject "missing" where the target says nothing at all.
        `checked` counts compared keys. Skipped where the source says nothing.
    """
    if source.is_missing:
        reason = "metadata: the source has none (no config.json beside it)"
        return judge_level(Level.METADATA, on_side(source.problems), checked=0, not_checked=(reason,))
    if target.is_missing:
        message = "the target has no metadata at all"
        if target.format is Format.SAFETENSORS:
            message += " (no config.json beside it)"
        finding = Finding(Level.METADATA, "missing", message, expected="metadata", found="none")
        return judge_level(Level.METADATA, [finding, *target.problems], checked=1)
    return _Comparison(source, target, via).result()


class _Comparison:
    def __init__(self, source: ModelConfig, target: ModelConfig, via: Collection[Format]) -> None:
        self.source = source
        self.target = target
        self.via = via
        self.architecture = source.architecture or target.architecture or ""
        self.findings: list[Finding] = [*on_side(source.problems), *target.problems]
        self.damaged = {finding.subject for finding in self.findings}
        self.not_checked: list[str] = []
        self.checked = 0

    def result(self) -> LevelResult:
        self._architecture()
        for key in KEYS:
            if key.name not in _JUDGED_APART:
                self._key(key)
        self._vocab_size()
        self._tied()
        self._rope_type()
        if not self.source.values.keys() & _DIMENSIONS:
            # What is equal then are defaults and token ids: nothing that tells one model from another.
            self.not_checked.append(f"metadata: the source states none of {', '.join(sorted(_DIMENSIONS))}")
            self.checked = 0
        if self.source.raw_architecture is None:
            self.not_checked.append("metadata: the source names no architecture")
            self.checked = 0
        return judge_level(
            Level.METADATA, self.findings, checked=self.checked, not_checked=tuple(dict.fromkeys(self.not_checked))
        )

    def _fail(self, key: str, message: str, expected: object, found: object) -> None:
        self.findings.append(
            Finding(
                Level.METADATA,
                key,
                message,
                expected=_text(expected),
                found=_text(found),
                place=self.target.origin.get(key),
            )
        )

    def _architecture(self) -> None:
        self.checked += 1
        source, target = self.source, self.target
        if target.format is Format.GGUF:
            expected: str | None = gguf_name_of(source.architecture or "")
            found = target.raw_architecture
        elif source.format is target.format is Format.SAFETENSORS and Format.GGUF not in self.via:
            expected, found = source.architecture, target.architecture
        else:
            # GGUF's "llama" stands for mistral and mixtral too, and APR takes names from both worlds.
            expected, found = gguf_name_of(source.architecture or ""), gguf_name_of(target.architecture or "")
        if expected != found:
            self._fail("architecture", "architectures differ", expected, found or "none")

    def _key(self, key: Key) -> None:
        if key.name in self.damaged:
            return  # It has its finding.
        expected, found = self.source.values.get(key.name), self.target.values.get(key.name)
        gguf_architecture = gguf_name_of(self.architecture)
        if not can_hold(key, self.target.format, gguf_architecture):
            if expected not in (None, key.neutral):
                self.not_checked.append(f"{key.name}: {self.target.format} has no key for it")
            return
        if key.kind is Kind.ROPE_SCALING and expected is not None and found is None and self._beyond_gguf(expected):
            self.not_checked.append(f"rope_scaling: GGUF has no type {expected['rope_type']}")
            return
        if expected is None:
            absent_in_source = can_hold(key, self.source.format, gguf_architecture)
            switches = key.name in _OFF_WHEN_ABSENT or key.neutral is not None
            if found in (None, key.neutral) or not switches or not absent_in_source:
                return
            self.checked += 1
            self._fail(key.name, f"{key.name} is switched on by the target only", "none", _with_unit(key, found))
            return
        if found is None and key.name == "layer_types" and self.target.values.get("sliding_window") is None:
            return  # Without a window there are no sliding layers: the finding is sliding_window's.
        if key.name == "head_dim" and key.name not in self.source.explicit | self.target.explicit:
            return  # It only follows from hidden_size and num_attention_heads, which are compared.
        lost = next((form for form in self.via if not can_hold(key, form, gguf_architecture)), None)
        if lost is not None and found in (None, key.neutral):
            self.not_checked.append(f"{key.name}: {lost}, on the way, has no key for it")
            return
        self.checked += 1
        if found is None:
            if expected != key.neutral:
                self._fail(key.name, f"the target lacks {key.name}", _with_unit(key, expected), "missing")
            return
        same = _EQUAL.get(key.kind, _identical)
        if key.kind is Kind.ROPE_SCALING:
            self._rope_scaling(expected, found)
        elif key.kind is Kind.IDS:
            self._token_ids(key, expected, found)
        elif key.name == "partial_rotary_factor":
            self._rotated(key, expected, found)
        elif not same(expected, found):
            self._fail(key.name, f"{key.name} differs", _with_unit(key, expected), _with_unit(key, found))

    def _beyond_gguf(self, scaling: dict[str, Any]) -> bool:
        """Whether llama.cpp keeps this kind of rope scaling in the code of an architecture (dynamic, mrope)."""
        return self.target.format is Format.GGUF and scaling.get("rope_type") not in _SCALING_IN_GGUF

    def _token_ids(self, key: Key, expected: tuple[int, ...], found: tuple[int, ...]) -> None:
        """A format with room for one id must hold one of the source's; a list must hold all of them."""
        if not found or not set(found) <= set(expected):
            self._fail(key.name, f"{key.name} differs", _with_unit(key, expected), _with_unit(key, found))
        elif set(found) != set(expected):
            holds_several = {self.target.format, *self.via} == {Format.SAFETENSORS}
            severity = Severity.FAILURE if holds_several else Severity.NOTE
            message = f"{key.name} holds one of several ids"
            self.findings.append(
                Finding(Level.METADATA, key.name, message, severity, _with_unit(key, expected), _with_unit(key, found))
            )

    def _rotated(self, key: Key, expected: float, found: float) -> None:
        """Converters store the number of rotated elements, cut to a whole number."""
        head_dim = self.source.values.get("head_dim")
        scale = head_dim if isinstance(head_dim, int) else 1 << 16
        if int(expected * scale + 1e-6) != int(found * scale + 1e-6):
            self._fail(key.name, f"{key.name} differs", _with_unit(key, expected), _with_unit(key, found))

    def _rope_scaling(self, expected: dict[str, Any], found: dict[str, Any]) -> None:
        kind = expected.get("rope_type")
        differing = {"rope_type"} if kind != found.get("rope_type") else set()
        shared = sorted((expected.keys() & found.keys()) - {"rope_type"})
        differing |= {name for name in shared if not _same_scaling_value(expected[name], found[name])}
        lost = expected.keys() - found.keys()
        if self.target.format is Format.GGUF:
            without_key = lost - _SCALING_IN_GGUF.get(str(kind), frozenset())
            if without_key and not differing:
                where = "keeps them as tensors" if kind in ("llama3", "longrope") else "has no key for them"
                self.not_checked.append(f"rope_scaling: {', '.join(sorted(without_key))}: GGUF {where}")
            lost -= without_key
        differing |= lost
        if differing:
            names = sorted(differing)
            self._fail(
                "rope_scaling",
                f"rope_scaling differs in {', '.join(names)}",
                {name: expected.get(name) for name in names},
                {name: found.get(name) for name in names},
            )

    def _vocab_size(self) -> None:
        expected, found = self.source.values.get("vocab_size"), self.target.values.get("vocab_size")
        if expected is None or "vocab_size" in self.damaged:
            return
        self.checked += 1
        if found is None:
            self._fail("vocab_size", "the target lacks vocab_size", f"{expected} tokens", "missing")
        elif expected != found:
            was_gguf = Format.GGUF in (self.target.format, *self.via)
            cut = was_gguf and gguf_name_of(self.architecture) == "gemma3" and found < expected
            message = "rows beyond the tokenizer's entries were cut, as llama.cpp does" if cut else "vocab_size differs"
            severity = Severity.NOTE if cut else Severity.FAILURE
            self.findings.append(
                Finding(Level.METADATA, "vocab_size", message, severity, f"{expected} tokens", f"{found} tokens")
            )

    def _tied(self) -> None:
        """A format that only shows a stored head cannot say whether it is a copy of the embedding."""
        key = "tie_word_embeddings"
        expected, found = self.source.values.get(key), self.target.values.get(key)
        if expected is None or found is None or key in self.damaged:
            return
        silent = key not in self.target.explicit and self.target.format is not Format.SAFETENSORS
        if expected != found and silent and expected:
            self.not_checked.append(f"{key}: the target stores a head; the weights say whether it is the embedding")
            return
        self.checked += 1
        if expected != found:
            self._fail(key, f"{key} differs", expected, found)

    def _rope_type(self) -> None:
        """Only APR states how rotated rows are paired; right is what its own row order needs."""
        if self.target.format is not Format.APR or "rope_type" in self.damaged:
            return
        needed = {row_pairing(self.architecture, order) for order in self.target.row_orders}
        if None in needed or not needed:
            self.not_checked.append(f"rope_type: not known, or without meaning, for {self.architecture or 'no name'}")
            return
        self.checked += 1
        found = self.target.values.get("rope_type")
        if len(needed) > 1:
            self._fail("rope_type", "layers follow two row orders, which no rope_type fits", "one order", "two orders")
        elif found is None:
            self._fail("rope_type", "the target lacks rope_type", _pairing(needed.pop()), "missing")
        elif found not in needed:
            order = next(iter(self.target.row_orders))
            message = f"rope_type does not fit rows in {order}'s order"
            self._fail("rope_type", message, _pairing(needed.pop()), _pairing(found))


def _identical(expected: object, found: object) -> bool:
    return expected == found


def _same_number(expected: float, found: float) -> bool:
    """Equal once both are rounded to float32, which is what GGUF and APR store."""
    with np.errstate(over="ignore"):
        return bool(np.float32(expected) == np.float32(found))


def _same_scaling_value(expected: object, found: object) -> bool:
    if isinstance(expected, int | float) and isinstance(found, int | float):
        return _same_number(expected, found)
    if isinstance(expected, tuple) and isinstance(found, tuple):
        return len(expected) == len(found) and all(map(_same_number, expected, found))
    return expected == found


_EQUAL: dict[Kind, Callable[[Any, Any], bool]] = {Kind.NUMBER: _same_number}


def _pairing(rope_type: int | None) -> str:
    names = {0: "0 (adjacent pairs)", 2: "2 (half-split)"}
    return names.get(rope_type if rope_type is not None else -1, str(rope_type))


def _with_unit(key: Key, value: object) -> str:
    return f"{_text(value)} {key.unit}".rstrip()


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        whole = value.is_integer() and abs(value) < 1e15
        return str(int(value)) if whole else str(np.float32(value))
    if isinstance(value, tuple):
        return ", ".join(map(_text, value))
    return str(value)
