"""When something is launched."""

from typing import Any, Literal, Self
from zoneinfo import available_timezones

from pydantic import Field, field_validator, model_validator

from runtime.documents.base import Document

MIN_SECONDS, MAX_SECONDS = 10, 366 * 86400


class Every(Document):
    """A span of time; what is given is added up."""

    seconds: int = Field(default=0, ge=0, le=MAX_SECONDS, description="Seconds.")
    minutes: int = Field(default=0, ge=0, le=MAX_SECONDS // 60, description="Minutes.")
    hours: int = Field(default=0, ge=0, le=MAX_SECONDS // 3600, description="Hours.")

    @property
    def total_seconds(self) -> int:
        return self.seconds + 60 * self.minutes + 3600 * self.hours

    @model_validator(mode="after")
    def _within_bounds(self) -> Self:
        if not MIN_SECONDS <= self.total_seconds <= MAX_SECONDS:
            raise ValueError("Give a span from 10 seconds to 366 days.")
        return self


class Subject(Document):
    """What is launched."""

    kind: Literal["pipeline", "ingest", "monitor"] = Field(
        description="`pipeline` runs its newest version, `ingest` reads a dataset's source anew, "
        "`monitor` evaluates what was captured since."
    )
    name: str = Field(
        min_length=1,
        max_length=48,
        description="The slug of the pipeline, the dataset or the monitor.",
    )


class ScheduleDocument(Document):
    """Launches `subject` by the clock. A time that was missed is made up for once."""

    subject: Subject = Field(description="What is launched.")
    cron: str | None = Field(
        default=None,
        max_length=100,
        description="Five cron fields: minute, hour, day, month, weekday. Instead of `every`.",
    )
    every: Every | None = Field(
        default=None, description="The span between launches. Instead of `cron`."
    )
    time_zone: str = Field(
        default="UTC", max_length=64, description="The IANA time zone that `cron` is read in."
    )
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="Parameters of the launch, by name."
    )

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError("There is no such time zone. Use a name such as Europe/Zurich.")
        return value

    @model_validator(mode="after")
    def _cron_or_every(self) -> Self:
        if (self.cron is None) == (self.every is None):
            raise ValueError("Give exactly one of cron and every.")
        return self
