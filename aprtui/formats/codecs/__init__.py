"""Element codecs: stored bytes to numbers and back, and the parts of quantised blocks."""
