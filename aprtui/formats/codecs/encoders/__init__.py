"""Encoders of GGML's block types, byte-identical to ggml's reference quantisers.

Identical means: to `ggml_quantize_chunk` without an importance matrix, compiled for x86-64 without contraction of
multiplications and additions. Everything is float32, in ggml's order of operations.
"""
