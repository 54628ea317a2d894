"""Metadata of the three formats in one vocabulary: the key names of Hugging Face's config.json.

`read_config` says what a model is, whatever its container calls it; `keys.KEYS` is the table of who calls it how.
"""

from aprtui.formats.metadata.config import ModelConfig
from aprtui.formats.metadata.read import read_config

__all__ = ["ModelConfig", "read_config"]
