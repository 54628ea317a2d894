"""llama.cpp, as the xllamacpp wheel carries it, in a process of its own."""

from aprtui.inference.llama.process import LlamaRefusedError, installed_version, llama_generate, llama_ids, llama_logits

__all__ = ["LlamaRefusedError", "installed_version", "llama_generate", "llama_ids", "llama_logits"]
