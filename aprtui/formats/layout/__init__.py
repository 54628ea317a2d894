"""Layout rules: which rearrangement of a source's tensors a target must hold, per architecture, never by data."""
