"""Comparison of opened models: weights, structure, metadata, tokenizer."""
