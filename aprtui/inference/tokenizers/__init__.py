"""Text to token ids as each side would: its own tokenizer.json, llama.cpp, or a tokenizer rebuilt from stored facts."""

from aprtui.inference.tokenizers.encoders import EncodedTexts, NoEncoderError, encode_texts, rebuilt_ids
from aprtui.inference.tokenizers.probes import PROBES

__all__ = ["PROBES", "EncodedTexts", "NoEncoderError", "encode_texts", "rebuilt_ids"]
