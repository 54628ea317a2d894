"""Names of pre-tokenizers: GGUF stores a name, tokenizer.json the structure; this tells one from the other.

llama.cpp's converter decides by a hash of the ids of a test text, which depends on the vocabulary; here the structure
decides. Structures are those of the models in the comments, and split text as the rules of that name in llama.cpp's
`llm_tokenizer_bpe` do.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from aprtui.formats.tokenizer.facts import PreTokenizer

_DEEPEST = 8

_CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_LEAD = r"[^\r\n\p{L}\p{N}]?"
_CODE_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"

_QWEN2 = rf"{_CONTRACTIONS}|{_LEAD}\p{{L}}+|\p{{N}}{_REST}"
_QWEN35 = (
    rf"{_CONTRACTIONS}|{_LEAD}[\p{{L}}\p{{M}}]+|\p{{N}}"
    r"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_LLAMA3 = rf"{_CONTRACTIONS}|{_LEAD}\p{{L}}+|\p{{N}}{{1,3}}{_REST}"
_TEKKEN = rf"{_LEAD}{_UPPER}*{_LOWER}+|{_LEAD}{_UPPER}+{_LOWER}*|\p{{N}}{_CODE_REST}"
_GPT4O = (
    rf"{_LEAD}{_UPPER}*{_LOWER}+{_CONTRACTIONS}?|{_LEAD}{_UPPER}+{_LOWER}*{_CONTRACTIONS}?"
    rf"|\p{{N}}{{1,3}}{_CODE_REST}"
)
_DEEPSEEK_V3 = (
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"""
    r"""| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
)

_BYTES = ("ByteLevel", False)
_GPT2_SPLIT = ("ByteLevel", True)

Step = tuple[Any, ...]


def _split(regex: str) -> Step:
    return ("Split", regex, "Isolated")


_STRUCTURES: dict[tuple[Step, ...], str] = {
    # Qwen/Qwen2-0.5B
    (_split(_QWEN2), _BYTES): "qwen2",
    # Qwen/Qwen3.5-9B
    (_split(_QWEN35), _BYTES): "qwen35",
    # meta-llama/Meta-Llama-3-8B
    (_split(_LLAMA3), _BYTES): "llama-bpe",
    # openai-community/gpt2, microsoft/phi-2, allenai/OLMo
    (_GPT2_SPLIT,): "gpt-2",
    # bigcode/starcoder2-3b, HuggingFaceTB/SmolLM-135M, CohereForAI/c4ai-command-r-v01
    (("Digits", True), _GPT2_SPLIT): "starcoder",
    # mistralai/Mistral-Nemo-Base-2407
    (_split(_TEKKEN), _BYTES): "tekken",
    # Xenova/gpt-4o
    (_split(_GPT4O), _BYTES): "gpt-4o",
    # tiiuae/falcon-7b
    (("Punctuation", "Contiguous"), _GPT2_SPLIT, ("Digits", False), _split("[0-9][0-9][0-9]")): "falcon",
    # deepseek-ai/deepseek-coder-6.7b-base
    (
        _split("[\r\n]"),
        _split(r"\s?\p{L}+"),
        _split(r"\s?\p{P}+"),
        _split("[一-龥ࠀ-一가-퟿]+"),
        ("Digits", True),
        _BYTES,
    ): "deepseek-coder",
    # deepseek-ai/DeepSeek-V3
    (_split(r"\p{N}{1,3}"), _split("[一-龥぀-ゟ゠-ヿ]+"), _split(_DEEPSEEK_V3), _BYTES): "deepseek-v3",
}

# Names under which llama.cpp splits text alike; the first one stands for all.
_ALIKE = tuple(
    tuple(names.split())
    for names in (
        "qwen2 stablelm2 deepseek-r1-qwen megrez hunyuan solar-open grok-2 kormo f2llmv2",
        "llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano dbrx smaug-bpe glm4",
        "gpt-2 phi-2 olmo mpt jais trillion granite-docling gigachat roberta-bpe modern-bert jina-es jina-de "
        "jina-v1-en jina-v2-es jina-v2-de jina-v2-code",
        "starcoder refact command-r smollm codeshell exaone minerva-7b mellum2",
        "deepseek-v3 hunyuan-dense joyai-llm hy_v4",
        "gpt-4o llama4 minimax-m2",
    )
)
_FIRST_NAME = {name: names[0] for names in _ALIKE for name in names}

# Names that make llama.cpp put bos in front of a text where the file has no add_bos_token.
ADDS_BOS = frozenset(
    {"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano", "tekken"}
)


def split_class(name: str) -> str:
    """One name for all names under which llama.cpp splits text alike."""
    return _FIRST_NAME.get(name, name)


def recognise(raw: object) -> PreTokenizer:
    """The pre-tokenizer that `pre_tokenizer` of tokenizer.json describes."""
    steps = _flatten(raw, 0)
    canonical = json.dumps(raw, sort_keys=True, ensure_ascii=True, default=str)
    fingerprint = hashlib.sha256(canonical.encode()).hexdigest()[:16]
    return PreTokenizer(None if steps is None else _STRUCTURES.get(tuple(steps)), fingerprint)


def structure(name: str) -> dict[str, Any] | None:
    """The `pre_tokenizer` of tokenizer.json that splits text as this name does; None for a name without one."""
    wanted = split_class(name)
    steps = next((steps for steps, known in _STRUCTURES.items() if known == wanted), None)
    if steps is None:
        return None
    return {"type": "Sequence", "pretokenizers": [_described(step) for step in steps]}


def _described(step: Step) -> dict[str, Any]:
    """A step as tokenizer.json writes it; `_step` reads it back."""
    match step:
        case ("ByteLevel", use_regex):
            return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": use_regex}
        case ("Digits", individual):
            return {"type": "Digits", "individual_digits": individual}
        case ("Punctuation", behavior):
            return {"type": "Punctuation", "behavior": behavior}
    _, regex, behavior = step
    return {"type": "Split", "pattern": {"Regex": regex}, "behavior": behavior, "invert": False}


def _flatten(raw: object, depth: int) -> list[Step] | None:
    """Steps in order, or None for a structure that has no place in the table."""
    if not isinstance(raw, Mapping) or depth > _DEEPEST:
        return None
    if raw.get("type") != "Sequence":
        step = _step(raw)
        return None if step is None else [step]
    parts = raw.get("pretokenizers")
    steps: list[Step] = []
    for part in parts if isinstance(parts, list) else ():
        inner = _flatten(part, depth + 1)
        if inner is None:
            return None
        steps += inner
    return steps


def _step(raw: Mapping[str, Any]) -> Step | None:
    kind = raw.get("type")
    if kind == "ByteLevel" and not raw.get("add_prefix_space"):
        return ("ByteLevel", bool(raw.get("use_regex", True)))
    if kind == "Digits":
        return ("Digits", bool(raw.get("individual_digits")))
    if kind == "Punctuation":
        return ("Punctuation", str(raw.get("behavior", "Isolated")))
    pattern = raw.get("pattern")
    if kind == "Split" and isinstance(pattern, Mapping) and not raw.get("invert"):
        regex = pattern.get("Regex")
        return ("Split", regex, str(raw.get("behavior"))) if isinstance(regex, str) else None
    return None
