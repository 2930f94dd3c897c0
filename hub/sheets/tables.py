"""A table as a file has it: XLSX where it is one, else CSV."""

from hub.sheets import csv, xlsx
from hub.sheets.sheet import Sheet

UNPACKED = 1 << 28
"""Bytes that a file may have unpacked, where nobody says another limit."""


def read(body: bytes, limit: int = UNPACKED) -> Sheet:
    """``limit`` is in bytes, unpacked. Raises Unreadable, and MissingExtra where the library for XLSX is
    not installed.
    """
    return xlsx.read(body, limit) if xlsx.is_xlsx(body) else csv.read(body)
