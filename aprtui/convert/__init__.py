"""Converters behind one protocol."""

from aprtui.convert.converter import Converter, ConverterIdentity
from aprtui.convert.errors import ConversionNotOfferedError, ConversionTimeoutError, ConversionVoidError
from aprtui.convert.named import MissingConverter, apr_program, converter_named
from aprtui.convert.workspace import end_conversion, read_record, working_directory

__all__ = [
    "ConversionNotOfferedError",
    "ConversionTimeoutError",
    "ConversionVoidError",
    "Converter",
    "ConverterIdentity",
    "MissingConverter",
    "apr_program",
    "converter_named",
    "end_conversion",
    "read_record",
    "working_directory",
]
