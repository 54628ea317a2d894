"""The demo's own model, shipped inside the package so that the demo needs neither network nor torch."""

from importlib.resources import files
from pathlib import Path

MODEL = Path(str(files(__name__) / "model" / "qwen2-demo"))
"""Hugging Face folder of a trained qwen2 of 1.4 million parameters; its README says how it was made."""
