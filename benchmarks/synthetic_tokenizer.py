"""A byte-level BPE tokenizer of Qwen2.5-Coder's size and shape, made by rule instead of from text.

Its 256 bytes are followed by every word of two and three small letters and as many of four as there is room for, each
merged from the word without its last letter; then the 22 added tokens of Qwen2.5-Coder under its own ids.
"""

from __future__ import annotations

import json
from itertools import islice, product
from pathlib import Path
from string import ascii_lowercase

from aprtui.demo import MODEL

WORDS = 151_643
"""Entries before the added tokens, as in Qwen2.5-Coder."""

ADDED = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>"),
    *("<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>"),
    *("<|image_pad|>", "<|video_pad|>", "<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>"),
    *("<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>"),
)
_NOT_SPECIAL = frozenset(ADDED[14:])


def write_tokenizer(folder: Path) -> None:
    """Write tokenizer.json and tokenizer_config.json; pre-tokenizer and template are those of the demo model."""
    tokenizer = json.loads((MODEL / "tokenizer.json").read_text(encoding="utf-8"))
    entries = sorted(tokenizer["model"]["vocab"].items(), key=lambda entry: int(entry[1]))
    byte_characters = [token for token, _ in entries[:256]]
    words = list(islice(_words(), WORDS - len(byte_characters)))
    tokenizer["model"]["vocab"] = {token: number for number, token in enumerate([*byte_characters, *words])}
    tokenizer["model"]["merges"] = [[word[:-1], word[-1]] for word in words]
    pattern = tokenizer["added_tokens"][0]
    tokenizer["added_tokens"] = [
        pattern | {"id": WORDS + number, "content": token, "special": token not in _NOT_SPECIAL}
        for number, token in enumerate(ADDED)
    ]
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
    config = (MODEL / "tokenizer_config.json").read_text(encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(config, encoding="utf-8")


def _words() -> map[str]:
    letters = (product(ascii_lowercase, repeat=length) for length in (2, 3, 4))
    return map("".join, (word for words in letters for word in words))
