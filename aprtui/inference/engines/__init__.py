"""Engines that run model files: the reference in transformers, llama.cpp, and the `apr` command."""

from aprtui.inference.engines.apr import AprEngine
from aprtui.inference.engines.engine import Engine, EngineAnswer, EngineIdentity
from aprtui.inference.engines.llama_cpp import LlamaCppEngine
from aprtui.inference.engines.reference import ReferenceEngine

__all__ = ["AprEngine", "Engine", "EngineAnswer", "EngineIdentity", "LlamaCppEngine", "ReferenceEngine"]
