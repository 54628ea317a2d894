"""llama.cpp, as the xllamacpp wheel carries it, in a process of its own."""

from aprtui.inference.llama.process import (
    LlamaRefusedError,
    LlamaTimeoutError,
    installed_version,
    is_of_the_machine,
    llama_ids,
    llama_logits,
    words_of_llama,
)

__all__ = [
    "LlamaRefusedError",
    "LlamaTimeoutError",
    "installed_version",
    "is_of_the_machine",
    "llama_ids",
    "llama_logits",
    "words_of_llama",
]
