"""Converters behind one protocol."""

from aprtui.convert.converter import Converter, ConverterIdentity

__all__ = ["Converter", "ConverterIdentity"]
