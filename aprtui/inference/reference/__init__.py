"""The reference forward pass: transformers' own code, each model instantiated from its own metadata, in float32."""
