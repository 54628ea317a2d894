"""The built-in converter: any of SafeTensors, GGUF and APR to any other, tensor by tensor in bounded memory."""

from aprtui.convert.builtin.converter import BuiltinConverter

__all__ = ["BuiltinConverter"]
