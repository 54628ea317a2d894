"""What readers of runs know: run folders, their journals, which engine lives, where runs are."""
