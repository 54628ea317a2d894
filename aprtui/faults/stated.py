"""Where a product states a canonical key, and how to change it there."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping

from aprtui.faults.draft import Draft
from aprtui.faults.header_draft import RawValue
from aprtui.formats.container import Format
from aprtui.formats.metadata.keys import Key, key_named

Place = tuple[MutableMapping[str, RawValue], str]
"""A mapping and the name in it."""

_TOKENS = {"bos_token_id": "bos_token", "eos_token_id": "eos_token"}


def gguf_prefix(draft: Draft) -> str:
    """The architecture as a GGUF's keys spell it."""
    return str(draft.header.main.get("general.architecture"))


def places(draft: Draft, name: str) -> list[Place]:
    """Every place where the product states a key."""
    return [(mapping, raw) for mapping, raw in _possible(draft, key_named(name)) if mapping.get(raw) is not None]


def set_value(draft: Draft, name: str, value: RawValue) -> None:
    """State a value wherever the key is stated, or where the format keeps it first."""
    found = places(draft, name) or list(_possible(draft, key_named(name)))[:1]
    for mapping, raw in found:
        mapping[raw] = value
    draft.touch(name)


def remove(draft: Draft, name: str) -> None:
    """Remove a key wherever it is stated.

    Raises:
        NotApplicableError: It is stated nowhere.
    """
    found = places(draft, name)
    if not found:
        raise draft.refuse(f"the product does not state {name}")
    for mapping, raw in found:
        del mapping[raw]
    tokenizer = draft.header.documents.get("tokenizer_config.json", {})
    tokenizer.pop(_TOKENS.get(name, ""), None)
    draft.touch(name)


def _possible(draft: Draft, key: Key) -> Iterator[Place]:
    main = draft.header.main
    if draft.format is Format.GGUF:
        names = [*key.gguf, *(("attention.layer_norm_epsilon",) if key.name == "rms_norm_eps" else ())]
        yield from ((main, f"{gguf_prefix(draft)}.{name}") for name in names)
        yield from ((main, name) for name in key.gguf if name.startswith("tokenizer."))
    elif draft.format is Format.APR:
        yield from ((main, name) for name in key.apr)
        yield from ((main, f"model.{name}") for name in key.apr)
    else:
        yield from _in_config(main, key)
        generation = draft.header.documents.get("generation_config.json")
        if generation is not None and key.name in _TOKENS:
            yield generation, key.name


def _in_config(config: MutableMapping[str, RawValue], key: Key) -> Iterator[Place]:
    yield from ((config, name) for name in key.hf)
    nested = config.get("text_config")
    if isinstance(nested, dict):
        yield from ((nested, name) for name in key.hf)
    rope = config.get("rope_parameters")
    if not isinstance(rope, dict):
        return
    whole = rope.get("full_attention", rope)
    if key.name in ("rope_theta", "partial_rotary_factor"):
        yield whole, key.name
    elif key.name == "rope_local_base_freq" and isinstance(rope.get("sliding_attention"), dict):
        yield rope["sliding_attention"], "rope_theta"
    elif key.name == "rope_scaling" and rope.get("rope_type") not in (None, "default"):
        yield rope, "rope_type"
