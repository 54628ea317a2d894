"""The process that `tokenizers` runs in: a stranger's tokenizer.json may make it panic, or never end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer


def encoded(request: dict[str, Any]) -> dict[str, Any]:
    """Ids of texts; bos and eos are put there by the tokenizer's own post-processor, else as the request says."""
    try:
        tokenizer = Tokenizer.from_str(request["tokenizer"])
    except Exception as error:
        return {"refused": str(error)[:300]}
    tokenizer.no_padding()
    tokenizer.no_truncation()
    bare = tokenizer.encode_batch(request["texts"], add_special_tokens=False)
    if len(tokenizer.encode("a").ids) > len(tokenizer.encode("a", add_special_tokens=False).ids):
        return {"ids": [each.ids for each in tokenizer.encode_batch(request["texts"])]}
    return {"ids": [[*request["first"], *each.ids, *request["last"]] for each in bare]}


def main(folder: Path) -> None:
    """Read `request.json`, write `answer.json`."""
    request = json.loads((folder / "request.json").read_bytes())
    (folder / "answer.json").write_text(json.dumps(encoded(request)), encoding="ascii")
