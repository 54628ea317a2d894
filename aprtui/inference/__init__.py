"""What models do: tokenizers, the reference forward pass, layers, logits, text, and the engines that users run.

torch, transformers, tokenizers and llama.cpp are imported here alone, and only when they are needed.
"""
