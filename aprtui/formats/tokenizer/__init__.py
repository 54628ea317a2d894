"""Tokenizers of the three formats in one vocabulary: GGUF's, because it states every fact outright.

`read_tokenizer` gives tokens by id, merges, types and flags, whether they come from tokenizer.json, a sentencepiece
model, GGUF's `tokenizer.ggml.*` or APR's `tokenizer.*`.
"""

from aprtui.formats.tokenizer.facts import TokenizerFacts, TokenizerModel, TokenType
from aprtui.formats.tokenizer.read import read_tokenizer

__all__ = ["TokenType", "TokenizerFacts", "TokenizerModel", "read_tokenizer"]
