"""aprtui qualifies model format conversions between SafeTensors, GGUF and APR."""

__version__ = "0.1.0"
