"""What the stranger brings: hours of a bicycle hire that nobody has seen before, with gaps."""

import csv
import datetime as dt
import io
import math
import random
from typing import Any

ROWS = 5_000
MAX_WIND = 25
FEATURES = [
    "station", "season", "weather", "temp_filled", "humidity", "wind_kmh", "is_holiday", "hour",
    "is_weekend",
]  # fmt: skip
SEASONS = ("winter", "spring", "summer", "autumn")
SKIES = {"clear": 20, "cloud": 8, "rain": -25}
STATIONS = {"Harbour": 0, "Old Town": 15, "University": 30}
QUERY = """
SELECT *, coalesce(temp_c, avg(temp_c) OVER (PARTITION BY season)) AS temp_filled
FROM timed WHERE wind_kmh <= $max_wind
"""
PIPELINE: dict[str, Any] = {
    "parameters": {"max_wind": MAX_WIND},
    "steps": {
        "hours": {"operation": "read", "dataset": "hours"},
        "checked": {
            "operation": "check",
            "input": "hours",
            "rules": [
                {"rule": "not_null", "columns": ["ride_hour", "demand"]},
                {"rule": "unique", "columns": ["ride_hour"]},
                {"rule": "range", "column": "demand", "min": 0},
                {"rule": "not_null", "columns": ["temp_c"], "severity": "warn"},
            ],
        },
        "timed": {
            "operation": "derive",
            "input": "checked",
            "columns": {"hour": "hour(ride_hour)", "is_weekend": "isodow(ride_hour) > 5"},
        },
        "calm": {"operation": "sql", "inputs": ["timed"], "query": QUERY},
        "parts": {
            "operation": "split",
            "input": "calm",
            "column": "part",
            "by": "ride_hour",
            "until": {"past": "2024-06-30T23:00:00", "july": None},
        },
        "few": {"operation": "sample", "input": "parts", "fraction": 0.1, "seed": 3},
        "out": {"operation": "write", "input": "parts", "dataset": "features"},
        "out_few": {"operation": "write", "input": "few", "dataset": "sample"},
    },
}
TRAINING: dict[str, Any] = {
    "dataset": "features",
    "target": "demand",
    "task": "regression",
    "features": FEATURES,
    "keys": ["ride_hour"],
    "split": {
        "by": "time",
        "column": "ride_hour",
        "train_until": "2024-05-31T23:00:00",
        "validation_until": "2024-06-30T23:00:00",
        "test_from": "2024-07-01T00:00:00",
    },
}
MONITOR: dict[str, Any] = {
    "endpoint": "demand",
    "window": "1h",
    "min_rows": 200,
    "signals": [
        {"signal": "psi", "threshold": 0.25, "columns": ["weather", "hour"]},
        {"signal": "unseen_rate", "threshold": 0.5, "columns": ["season"]},
        {"signal": "error_rate", "threshold": 0.5},
    ],
}


def make_rides() -> list[dict[str, Any]]:
    """Rows as the file holds them; None is a gap."""
    luck = random.Random(7)
    began = dt.datetime(2024, 1, 1)  # noqa: DTZ001  (as the file has it: no zone)
    return [_ride(luck, began + dt.timedelta(hours=place)) for place in range(ROWS)]


def _ride(luck: random.Random, at: dt.datetime) -> dict[str, Any]:
    day = at.timetuple().tm_yday
    temp = 12 - 10 * math.cos(day / 58.1) + 4 * math.sin((at.hour - 9) / 3.82) + luck.gauss(0, 2)
    wind, weather = abs(luck.gauss(12, 6)), luck.choices(list(SKIES), [6, 3, 1])[0]
    station = luck.choice(list(STATIONS))
    rush = 60 * math.exp(-((at.hour - 8) ** 2) / 4) + 70 * math.exp(-((at.hour - 17) ** 2) / 5)
    demand = rush * (1 if at.weekday() < 5 else 0.35) + 3 * temp + SKIES[weather]
    demand += STATIONS[station] - 0.8 * wind + luck.gauss(0, 8)
    humidity = min(100, max(15, 65 - temp + luck.gauss(0, 10)))
    return {
        "ride_hour": at.isoformat(" "),
        "station": station,
        "season": SEASONS[at.month % 12 // 3],
        "weather": weather,
        "temp_c": None if luck.random() < 0.03 else round(temp, 2),
        "humidity": None if luck.random() < 0.02 else round(humidity, 1),
        "wind_kmh": round(wind, 1),
        "is_holiday": int(day in (1, 120, 121)),
        "demand": max(0, round(demand)),
    }


def as_csv(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
