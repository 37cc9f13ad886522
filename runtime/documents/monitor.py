"""What is watched of an endpoint, and when it is too much."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from runtime.documents.base import Document

SignalName = Literal[
    "psi",
    "js",
    "ks",
    "wasserstein",
    "missing_rate",
    "out_of_range_rate",
    "unseen_rate",
    "error_rate",
    "latency_p95_ms",
    "traffic_per_minute",
]
OF_NUMBERS = frozenset({"ks", "wasserstein", "out_of_range_rate"})
OF_CATEGORIES = frozenset({"unseen_rate"})
OF_TRAFFIC = frozenset({"error_rate", "latency_p95_ms", "traffic_per_minute"})
RATES = frozenset({"missing_rate", "out_of_range_rate", "unseen_rate", "error_rate", "js", "ks"})
PREDICTION = "__prediction__"
UNIT_SECONDS = {"m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
MAX_WINDOW_SECONDS = 90 * 86_400


class Signal(Document):
    """One figure that is watched, and how far it may go."""

    signal: SignalName = Field(
        description="What is measured. Against the training reference, column by column: psi, js, "
        "ks, wasserstein (in standard deviations of the reference), missing_rate, "
        "out_of_range_rate, unseen_rate (all three as points above the training's own). Of the "
        "endpoint: error_rate, latency_p95_ms, traffic_per_minute."
    )
    columns: list[str] = Field(
        default=[],
        max_length=2_000,
        description="The model's inputs to watch, and `__prediction__` for what it answers. "
        "Left out: all of them that the signal is defined for.",
    )
    threshold: float = Field(
        ge=0, allow_inf_nan=False, description="The value past which the signal alerts."
    )
    direction: Literal["above", "below"] = Field(
        default="above",
        description="Whether it alerts above the threshold or below it. Below only for signals "
        "of the endpoint.",
    )

    @field_validator("columns")
    @classmethod
    def _named_once(cls, names: list[str]) -> list[str]:
        if len(set(names)) < len(names):
            raise ValueError("A column is named twice. Name each once.")
        return names

    @model_validator(mode="after")
    def _fits(self) -> "Signal":
        if self.signal in OF_TRAFFIC:
            if self.columns:
                raise ValueError(f"{self.signal} is of the whole endpoint. Leave columns out.")
        elif self.direction == "below":
            raise ValueError(f"{self.signal} can only alert above its threshold.")
        if self.signal in RATES and self.threshold > 1:
            raise ValueError(f"{self.signal} lies between 0 and 1: so must its threshold.")
        return self


class MonitorDocument(Document):
    """A monitor: looks at a window of an endpoint's captured requests and compares them with what
    each release's model was trained on."""

    endpoint: str = Field(max_length=48, description="The endpoint's slug, in the same project.")
    description: str = Field(default="", max_length=2_000, description="For people.")
    release: str = Field(
        default="",
        max_length=48,
        description="Watch only this release, by its slug. Left out: all that have traffic.",
    )
    window: str = Field(
        default="1d",
        pattern=r"^[1-9][0-9]{0,4}[mhdw]$",
        description="How far back from now a look reaches: a number and m, h, d or w. At most 90d.",
    )
    min_rows: int = Field(
        default=500,
        ge=30,
        le=10_000_000,
        description="With fewer rows (of the endpoint: requests) than this, a signal is "
        "`insufficient` and neither alerts nor is fine.",
    )
    signals: list[Signal] = Field(
        min_length=1, max_length=50, description="What is watched, each with its threshold."
    )

    @field_validator("window")
    @classmethod
    def _not_too_long(cls, text: str) -> str:
        if window_seconds(text) > MAX_WINDOW_SECONDS:
            raise ValueError("A window is at most 90 days long.")
        return text

    @field_validator("signals")
    @classmethod
    def _each_once(cls, signals: list[Signal]) -> list[Signal]:
        seen: set[tuple[str, str]] = set()
        for each in signals:
            pairs = {(each.signal, name) for name in each.columns or ("",)}
            if both := seen & pairs:
                name = min(both)[1]
                of = f" of {name}" if name else ""
                raise ValueError(f"{each.signal}{of} is watched twice. Keep one threshold.")
            seen |= pairs
        return signals


def window_seconds(text: str) -> int:
    """The length of a window such as `6h`, in seconds."""
    return int(text[:-1]) * UNIT_SECONDS[text[-1]]
