"""The address of a hub, as people write it."""

from urllib.parse import SplitResult, urlsplit

from hub.errors import SettingError


def parse(url: str, name: str, schemes: tuple[str, ...] = ("http", "https")) -> SplitResult:
    """The parts of an address; without a scheme it is http. ``name`` is what it is called.

    Raises SettingError.
    """
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        valid = parts.scheme in schemes and parts.hostname is not None and parts.port != 0
    except ValueError:  # such as a bracket that is not closed, a port that is none
        valid = False
    if not valid:
        raise SettingError(f"{name}: {url} is no address such as http://127.0.0.1:8000")
    return parts
