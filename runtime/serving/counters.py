"""Counters of one release, and what is made of them: Prometheus text and a line a minute."""

import datetime as dt
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

BUCKETS = 32


@dataclass
class Counters:
    """All since this process began. `latency_log2_us[n]` counts answers that took less than 2^n
    microseconds and not less than half of that."""

    requests: int = 0
    rows: int = 0
    latency_sum_us: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    latency_log2_us: list[int] = field(default_factory=lambda: [0] * BUCKETS)

    def count(self, rows: int, latency_us: int) -> None:
        self.requests += 1
        self.rows += rows
        self.latency_sum_us += latency_us
        self.latency_log2_us[min(latency_us.bit_length(), BUCKETS - 1)] += 1

    def refuse(self, status: int) -> None:
        self.errors[str(status)] = self.errors.get(str(status), 0) + 1


class Minutes:
    """The traffic of a release as lines of `traffic/<date>.jsonl`. Lines of one minute add up:
    every process writes its own, and one more whenever captures are flushed."""

    def __init__(self, folder: str, counters: Counters) -> None:
        self._folder, self._counters = folder, counters
        self._told: dict[str, Any] = {"requests": 0, "rows": 0, "dropped": 0}
        self._errors: dict[str, int] = {}
        self._latency = [0] * BUCKETS

    def write(self, minute: dt.datetime, dropped: int) -> bool:
        """Append what has come since the last time, if anything has."""
        counters = self._counters
        now = {"requests": counters.requests, "rows": counters.rows, "dropped": dropped}
        latency, errors = list(counters.latency_log2_us), dict(counters.errors)
        if now == self._told and errors == self._errors:
            return False
        line = {
            "minute": minute.replace(second=0, microsecond=0).isoformat(),
            **{name: value - self._told[name] for name, value in now.items()},
            "errors": {
                name: more
                for name, value in errors.items()
                if (more := value - self._errors.get(name, 0))
            },
            "latency_log2_us": [a - b for a, b in zip(latency, self._latency, strict=True)],
        }
        folder = os.path.join(self._folder, "traffic")
        os.makedirs(folder, mode=0o700, exist_ok=True)
        with open(os.path.join(folder, f"{minute:%Y-%m-%d}.jsonl"), "ab", buffering=0) as file:
            file.write(json.dumps(line).encode() + b"\n")
        self._told, self._errors, self._latency = now, errors, latency
        return True


def prometheus(releases: Iterable[tuple[str, str, Counters, int, int]], refused: int) -> str:
    """Prometheus' text format, of (endpoint, release, counters, rows dropped, rows waiting)."""
    kinds = {
        "portolan_requests_total": "counter",
        "portolan_rows_total": "counter",
        "portolan_errors_total": "counter",
        "portolan_capture_dropped_rows_total": "counter",
        "portolan_capture_waiting_rows": "gauge",
        "portolan_latency_seconds": "histogram",
    }
    lines: dict[str, list[str]] = {name: [] for name in kinds}
    for endpoint, release, counters, dropped, waiting in releases:
        labels = f'endpoint="{endpoint}",release="{release}"'
        for name, value in (
            ("portolan_requests_total", counters.requests),
            ("portolan_rows_total", counters.rows),
            ("portolan_capture_dropped_rows_total", dropped),
            ("portolan_capture_waiting_rows", waiting),
        ):
            lines[name].append(f"{name}{{{labels}}} {value}")
        for status, count in sorted(counters.errors.items()):
            lines["portolan_errors_total"].append(
                f'portolan_errors_total{{{labels},status="{status}"}} {count}'
            )
        lines["portolan_latency_seconds"] += _histogram(labels, counters)
    text = [
        line for name, kind in kinds.items() for line in (f"# TYPE {name} {kind}", *lines[name])
    ]
    text += ["# TYPE portolan_refused_total counter", f"portolan_refused_total {refused}"]
    return "\n".join(text) + "\n"


def _histogram(labels: str, counters: Counters) -> list[str]:
    lines, total = [], 0
    for place, count in enumerate(counters.latency_log2_us[:-1]):
        total += count
        bound = 2**place / 1e6
        lines.append(f'portolan_latency_seconds_bucket{{{labels},le="{bound:g}"}} {total}')
    total += counters.latency_log2_us[-1]
    lines.append(f'portolan_latency_seconds_bucket{{{labels},le="+Inf"}} {total}')
    lines.append(f"portolan_latency_seconds_sum{{{labels}}} {counters.latency_sum_us / 1e6:g}")
    lines.append(f"portolan_latency_seconds_count{{{labels}}} {total}")
    return lines
