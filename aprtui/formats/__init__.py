"""Model files: containers (SafeTensors, GGUF, APR), element types, canonical names, layout rules and views."""
