"""Filters as people write them."""

from datetime import UTC, datetime, timedelta

import pytest

from hub.domain.timestamps import utc_now
from hub.errors import Refused
from hub.record import search


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("90m", timedelta(minutes=90)),
        ("36h", timedelta(hours=36)),
        (" 7d ", timedelta(days=7)),
        ("0m", timedelta()),
    ],
)
def test_since_some_time_ago(text, ago):
    before = utc_now()
    since = search.filters({"since": text}, UTC).since
    assert before - ago <= since <= utc_now() - ago


def test_since_a_moment():
    for text, moment in (
        ("2026-03-01", datetime(2026, 3, 1)),
        ("2026-03-01T18:00+01:00", datetime(2026, 3, 1, 17)),
        ("999999d", datetime.min),
    ):
        assert search.filters({"since": text}, UTC).since == moment
    for text in ("7", "7w", "yesterday", "٧d", "2026-13-01"):
        with pytest.raises(Refused, match="Invalid since"):
            search.filters({"since": text}, UTC)
