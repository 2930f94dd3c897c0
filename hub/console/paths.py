"""The console's own addresses."""

import re
from urllib.parse import urlsplit

ROOT = "/console"
_LONGEST = 2000


def local(text: str) -> str | None:
    """A path of the console, with its query; None for anything else, such as another site."""
    is_path = len(text) <= _LONGEST and re.fullmatch(r"/console(?:[/?][!-~]*)?", text)
    if not is_path or "\\" in text or "//" in text:
        return None
    parts = urlsplit(text)
    return None if parts.scheme or parts.netloc or ".." in parts.path else text
