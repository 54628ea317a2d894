"""What leaves aprtui: JSON of comparisons, evidence files."""
