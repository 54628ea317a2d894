"""Parts of a tokenizer besides its vocabulary: kind, types, pre-tokenizer, flags, special ids, chat template."""

from __future__ import annotations

from typing import Any

from aprtui.faults.draft import Draft
from aprtui.faults.fault import fault
from aprtui.faults.tokenizer_draft import part
from aprtui.formats.container import Format

_SAFETENSORS = frozenset({Format.SAFETENSORS})
_HEADERS = frozenset({Format.GGUF, Format.APR})
_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json", "added_tokens.json")
_TEXTS = ("tokenizer.model", "merges.txt", "chat_template.jinja")


@fault("tokenizer.missing", "RC-74")
def missing(draft: Draft) -> None:
    """There is no tokenizer."""
    if draft.model.tokenizer is None:
        raise draft.refuse("the product has no tokenizer")
    for name in _FILES:
        draft.header.documents.pop(name, None)
    for name in _TEXTS:
        draft.header.texts.pop(name, None)
    if draft.format is not Format.SAFETENSORS:
        main = draft.header.main
        for name in [name for name in main if name.startswith("tokenizer.") and not name.endswith("_token_id")]:
            del main[name]
    draft.touch("missing")


@fault("tokenizer.stub", "RC-83", formats=_SAFETENSORS)
def stub(draft: Draft) -> None:
    """tokenizer.json is the stub that apr's export writes."""
    if "tokenizer.json" not in draft.header.documents:
        raise draft.refuse("the product has no tokenizer.json")
    draft.header.documents["tokenizer.json"] = {"version": "1.0", "model": {"type": "BPE"}}
    draft.touch("missing")


@fault("tokenizer.not_json", "RC-83", formats=_SAFETENSORS)
def not_json(draft: Draft) -> None:
    """tokenizer.json is cut off."""
    if draft.header.documents.pop("tokenizer.json", None) is None:
        raise draft.refuse("the product has no tokenizer.json")
    draft.header.texts["tokenizer.json"] = b'{"version": "1.0", "added_tokens": ['
    draft.touch("missing", "file")


@fault("tokenizer.kind", "RC-79", "T19")
def kind(draft: Draft) -> None:
    """The kind of tokenizer is another one."""
    others = {Format.GGUF: "llama", Format.APR: "unigram", Format.SAFETENSORS: "WordPiece"}
    part(draft, "model").set(others[draft.format])


@fault("tokenizer.types_lost", "RC-77", "T19", formats=_HEADERS)
def types_lost(draft: Draft) -> None:
    """Nothing says which tokens are special."""
    part(draft, "token_types").remove()


@fault("tokenizer.added_tokens_lost", "RC-77", "T19", formats=_SAFETENSORS)
def added_tokens_lost(draft: Draft) -> None:
    """tokenizer.json lacks its added tokens, among them the special ones."""
    part(draft, "token_types").set([])
    draft.touch("vocabulary")


@fault("tokenizer.types_plain", "RC-77", "T19", formats=_HEADERS)
def types_plain(draft: Draft) -> None:
    """Every token has the type of plain text."""
    types = part(draft, "token_types")
    types.set([1] * len(types.value))


@fault("tokenizer.pre_tokenizer_wrong", "RC-79", "T19")
def pre_tokenizer_wrong(draft: Draft) -> None:
    """Text is split by the rules of another model."""
    other: Any = "deepseek-llm"
    if draft.format is Format.SAFETENSORS:
        other = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    part(draft, "pre_tokenizer").set(other)


@fault("tokenizer.pre_tokenizer_lost", "RC-79", "T19")
def pre_tokenizer_lost(draft: Draft) -> None:
    """Nothing says how text is split before merging."""
    pre = part(draft, "pre_tokenizer")
    if draft.format is Format.SAFETENSORS:
        pre.set(None)
    else:
        pre.remove()


@fault("tokenizer.add_bos", "RC-78", "T19")
def add_bos(draft: Draft) -> None:
    """A text begins with bos where it should not, or not where it should."""
    if draft.format is Format.SAFETENSORS:
        _turn_post_processor(draft)
        return
    flag = part(draft, "add_bos")
    flag.set(not flag.value)


def _turn_post_processor(draft: Draft) -> None:
    facts = draft.model.tokenizer
    whole = draft.header.documents.get("tokenizer.json")
    if facts is None or whole is None or facts.add_bos is None:
        raise draft.refuse("the tokenizer of the product does not say whether it adds bos")
    config = draft.header.documents.get("tokenizer_config.json", {})
    first = config.get("bos_token") or "<bos>"
    text = {"Sequence": {"id": "A", "type_id": 0}}
    single = [{"SpecialToken": {"id": first, "type_id": 0}}, text]
    plain = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    with_bos = {"type": "TemplateProcessing", "single": single, "pair": [*single, text], "special_tokens": {}}
    whole["post_processor"] = plain if facts.add_bos else with_bos
    draft.touch("add_bos")


@fault("tokenizer.add_eos", "RC-78", "T19", formats=frozenset({Format.GGUF}))
def add_eos(draft: Draft) -> None:
    """A text ends with eos where it should not, or not where it should."""
    flag = part(draft, "add_eos")
    flag.set(not flag.value)


@fault("tokenizer.special_id_changed", "RC-77", "RC-78", "T19", requires="a padding token")
def special_id_changed(draft: Draft) -> None:
    """The id of the padding token is another one."""
    pad = part(draft, "pad")
    pad.set(pad.value - 1)


@fault("tokenizer.chat_template_changed", "RC-82", "T19", requires="a chat template")
def chat_template_changed(draft: Draft) -> None:
    """The chat template is another one."""
    template = part(draft, "chat_template")
    changed = "{% for m in messages %}[INST] {{ m.content }} [/INST]{% endfor %}"
    template.set(changed.encode() if isinstance(template.value, bytes) else changed)


@fault("tokenizer.chat_template_lost", "RC-82", "T19", requires="a chat template")
def chat_template_lost(draft: Draft) -> None:
    """The chat template is missing."""
    part(draft, "chat_template").remove()
