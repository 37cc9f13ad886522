"""When a schedule runs next: by the clock of its time zone, summer time and all."""

import datetime as dt
import math
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from django.core.exceptions import ValidationError

CRON_HELP = (
    "This is no cron expression of five fields: minute, hour, day, month, weekday. "
    "“0 6 * * 1” is Mondays at 6."
)
NEVER = "This cron expression names a day that never comes. Change day or month."


def next_by_cron(cron: str, time_zone: str, after: dt.datetime) -> dt.datetime:
    """The first time after `after` (aware) that the expression names, in UTC.

    As Debian's cron: a time that summer time leaves out is made up for right after, one that
    comes twice runs once. Raise ValidationError for `cron`.
    """
    # Its own handling of the seasons is left aside for UTC only when it is datetime's.
    zone: dt.tzinfo = dt.UTC if time_zone == "UTC" else ZoneInfo(time_zone)
    if len(cron.split()) != 5:
        raise ValidationError({"cron": CRON_HELP})
    try:
        found = next(CronSim(cron, after.astimezone(zone)))
    except CronSimError:
        raise ValidationError({"cron": CRON_HELP}) from None
    except (StopIteration, OverflowError):
        raise ValidationError({"cron": NEVER}) from None
    return found.astimezone(dt.UTC)


def next_by_interval(seconds: int, last: dt.datetime, after: dt.datetime) -> dt.datetime:
    """The first time after `after` that lies whole intervals behind `last`: what was missed is
    not made up for one by one, and the beat is kept."""
    missed = math.floor((after - last).total_seconds() / seconds)
    return last + dt.timedelta(seconds=seconds * (max(missed, 0) + 1))
