"""The secrets of an endpoint, as they are now: a file of them may change while the hub runs."""

from collections.abc import Callable, Sequence

from hub.config.load import secrets_in
from hub.errors import SettingError


class Secrets:
    """Those of the environment, and those of a file ('': none). ``check`` raises ValueError for one that
    its scheme cannot use.
    """

    def __init__(
        self,
        now: Sequence[str],
        fixed: Sequence[str] = (),
        file: str = "",
        check: Callable[[str], None] = lambda secret: None,
    ) -> None:
        self.now = tuple(now)
        self.file = file
        self._fixed = tuple(fixed)
        self._check = check

    def in_file(self) -> tuple[str, ...]:
        """The secrets as they would be with what the file has now.

        Raises SettingError for a file that cannot be used.
        """
        found = (*self._fixed, *secrets_in(self.file))
        try:
            for secret in found:
                self._check(secret)
        except ValueError as error:
            raise SettingError(f"{self.file}: {error}") from None
        return found
