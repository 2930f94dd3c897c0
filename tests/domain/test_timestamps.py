"""Moments: what is read, what is refused, what is written."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.domain.timestamps import (
    calendar_date,
    format_utc,
    parse_timestamp,
    parse_unix_seconds,
    to_utc,
)


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2024-01-15T10:00:00Z", "2024-01-15T10:00:00Z"),
        ("2024-01-15t10:00:00z", "2024-01-15T10:00:00Z"),
        ("2024-01-15 10:00:00Z", "2024-01-15T10:00:00Z"),
        ("2024-01-15T10:00Z", "2024-01-15T10:00:00Z"),
        ("2024-01-15T10:00:00", "2024-01-15T10:00:00Z"),
        ("2024-01-15T10:00:00+02:00", "2024-01-15T08:00:00Z"),
        ("2024-01-15T10:00:00-0730", "2024-01-15T17:30:00Z"),
        ("2024-01-15T10:00:00+00:00Z", "2024-01-15T10:00:00Z"),
        ("2024-01-15T10:00:00+02:00Z", "2024-01-15T08:00:00Z"),
        ("2024-01-15T10:00:00.5Z", "2024-01-15T10:00:00.500Z"),
        ("2024-01-15T10:00:00.123456789Z", "2024-01-15T10:00:00.123456Z"),
        ("2024-01-15T10:00:00.1234567890Z", "2024-01-15T10:00:00.123456Z"),
        ("2024-01-15T10:00:00,5Z", "2024-01-15T10:00:00.500Z"),
        ("2024-01-15T10:00:00+05", "2024-01-15T05:00:00Z"),
        ("2024-02-29T23:59:59Z", "2024-02-29T23:59:59Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
        (" 2024-01-15T10:00:00Z ", "2024-01-15T10:00:00Z"),
    ],
)
def test_read_and_written(text, utc):
    assert format_utc(to_utc(parse_timestamp(text), UTC)) == utc


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2024-01-15",
        "10:00",
        "2024-13-15T10:00:00Z",
        "2023-02-29T10:00:00Z",
        "2024-01-15T24:00:00Z",
        "2024-01-15T10:60:00Z",
        "2016-12-31T23:59:60Z",
        "2024-01-15T10:00:00Z\n",
        "2024-01-15T10:00:00ZZ",
        "2024-01-15T10:00:00+24:00",
        "2024-01-15T10:00:00+01:60",
        "20240115T100000Z",
        "2024-W03-1T10:00:00Z",
        "0000-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "٢٠٢٤-01-15T10:00:00Z",
        "-2024-01-15T10:00:00Z",
    ],
)
def test_refused(text):
    with pytest.raises(ValueError, match=r".+"):
        parse_timestamp(text)


def test_moments_outside_of_the_calendar_are_refused():
    for text in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-01:00"):
        with pytest.raises(ValueError, match="years 1 to 9999"):
            to_utc(parse_timestamp(text), UTC)
    with pytest.raises(ValueError, match="years 1 to 9999"):
        to_utc(parse_timestamp("0001-01-01T00:00:00Z"), ZoneInfo("America/Denver"))
    with pytest.raises(ValueError, match="out of range"):
        parse_unix_seconds(1e300)


def test_unix_seconds():
    assert format_utc(to_utc(parse_unix_seconds(1762808218.5), UTC)) == "2025-11-10T20:56:58.500Z"


def test_the_calendar_date_is_the_zones():
    moment = datetime(2024, 1, 16, 1, 0)
    assert calendar_date(moment, UTC).isoformat() == "2024-01-16"
    assert calendar_date(moment, ZoneInfo("America/Denver")).isoformat() == "2024-01-15"


def test_a_date_stored_in_another_zone_is_told_as_it_is_stored():
    assert calendar_date(datetime.max, ZoneInfo("Asia/Tokyo")).isoformat() == "9999-12-31"
    assert calendar_date(datetime.min, ZoneInfo("America/Denver")).isoformat() == "0001-01-01"


@given(
    st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 12, 31)),
    st.integers(-23 * 60, 23 * 60),
)
def test_isoformat_is_read_as_what_it_means(moment, minutes):
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    expected = aware.astimezone(UTC).replace(tzinfo=None)
    assert to_utc(parse_timestamp(aware.isoformat()), UTC) == expected
    assert to_utc(parse_timestamp(aware.isoformat() + "Z"), UTC) == expected
    assert to_utc(parse_timestamp(format_utc(expected)), UTC) == expected
