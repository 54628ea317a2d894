"""llama.cpp, as the xllamacpp wheel carries it, in a process of its own."""

from aprtui.inference.llama.process import (
    LlamaCrashedError,
    LlamaRefusedError,
    LlamaTimeoutError,
    installed_version,
    llama_generate,
    llama_ids,
    llama_logits,
)

__all__ = [
    "LlamaCrashedError",
    "LlamaRefusedError",
    "LlamaTimeoutError",
    "installed_version",
    "llama_generate",
    "llama_ids",
    "llama_logits",
]
