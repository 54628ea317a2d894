"""Gates: each turns what a comparison measured into one outcome with its reason."""
