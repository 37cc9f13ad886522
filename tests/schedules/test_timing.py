"""Next times: zones, summer time, missed windows."""

import datetime as dt

import pytest
from django.core.exceptions import ValidationError

from apps.schedules.timing import next_by_cron, next_by_interval


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("cron", "zone", "after", "expected"),
    [
        ("0 6 * * *", "UTC", "2026-11-24 06:00", "2026-11-25 06:00"),
        ("0 6 * * 1", "UTC", "2026-11-24 07:00", "2026-11-30 06:00"),
        # Zurich: winter is UTC+1, summer UTC+2.
        ("0 6 * * *", "Europe/Zurich", "2026-03-28 12:00", "2026-03-29 04:00"),
        ("0 6 * * *", "Europe/Zurich", "2026-10-24 12:00", "2026-10-25 05:00"),
        # 02:30 is left out on 29 March: it runs as the clock jumps to 03:00.
        ("30 2 * * *", "Europe/Zurich", "2026-03-28 12:00", "2026-03-29 01:00"),
        # 02:30 comes twice on 25 October: it runs the first time only.
        ("30 2 * * *", "Europe/Zurich", "2026-10-24 12:00", "2026-10-25 00:30"),
        ("30 2 * * *", "Europe/Zurich", "2026-10-25 00:30", "2026-10-26 01:30"),
    ],
)
def test_cron_is_read_by_the_zones_own_clock(
    cron: str, zone: str, after: str, expected: str
) -> None:
    assert next_by_cron(cron, zone, utc(after)) == utc(expected)


def test_every_hour_runs_every_real_hour_when_the_clock_changes() -> None:
    seen, at = [], utc("2026-10-24 22:30")
    for _ in range(5):
        at = next_by_cron("0 * * * *", "Europe/Zurich", at)
        seen.append(at.hour)
    assert seen == [23, 0, 1, 2, 3]


@pytest.mark.parametrize("cron", ["", "* * * *", "0 0 0 1 1 1", "61 * * * *", "a b c d e"])
def test_what_is_no_cron_is_refused_with_an_example(cron: str) -> None:
    with pytest.raises(ValidationError, match="Mondays at 6"):
        next_by_cron(cron, "UTC", utc("2026-01-01"))


def test_day_that_never_comes_is_refused() -> None:
    with pytest.raises(ValidationError):
        next_by_cron("0 0 30 2 *", "UTC", utc("2026-01-01"))


def test_interval_keeps_its_beat_and_skips_what_was_missed() -> None:
    last = utc("2026-01-01 00:00")
    assert next_by_interval(60, last, utc("2026-01-01 00:00")) == utc("2026-01-01 00:01")
    assert next_by_interval(60, last, utc("2026-01-01 09:30:30")) == utc("2026-01-01 09:31")
    assert next_by_interval(60, last, utc("2025-12-31 23:00")) == utc("2026-01-01 00:01")
