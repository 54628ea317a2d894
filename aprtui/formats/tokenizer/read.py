"""The tokenizer of an opened model, whatever its format."""

from __future__ import annotations

from aprtui.formats.container import Container, Format
from aprtui.formats.tokenizer import apr, gguf, huggingface
from aprtui.formats.tokenizer.facts import TokenizerFacts


def read_tokenizer(container: Container) -> TokenizerFacts | None:
    """What a model's tokenizer consists of.

    GGUF's strings stay lazy; files beside SafeTensors are read whole, within limits.

    Args:
        container: The opened model.

    Returns:
        The facts, or None where the model has no tokenizer at all. A file that only pretends to be one gives facts
        with `stub` set.
    """
    readers = {Format.GGUF: gguf.read, Format.APR: apr.read, Format.SAFETENSORS: huggingface.read}
    return readers[container.format](container)
