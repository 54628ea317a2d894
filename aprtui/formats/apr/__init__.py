"""APR version 2: the container of aprender and realizar, read and written."""

from aprtui.formats.apr.footer import check_footer
from aprtui.formats.apr.reader import read_apr
from aprtui.formats.apr.writer import write_apr

__all__ = ["check_footer", "read_apr", "write_apr"]
