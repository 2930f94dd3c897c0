"""What the server that answers a hub's routes tells of itself, for the pages that show it."""

from collections.abc import Callable

from hub.domain.distribution import Distribution

_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Serving:
    """One server. A server that tells nothing, as gunicorn's workers, is one that goes on."""

    def __init__(self) -> None:
        self.is_ending = False
        """Whether it ends: it still answers, and wants no further requests."""
        self.is_held_up: Callable[[], bool] = lambda: False
        """Whether something keeps the check-ins waiting for longer than a second."""
        self.batch_sizes = Distribution(*_SIZES)
        """Requests that shared a transaction."""
        self.streams: Callable[[], int] = lambda: 0
        """How many event streams are open."""
