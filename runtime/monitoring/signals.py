"""From counts to signals: a value each, what it is measured on, and whether it is too much.

A signal of columns alerts when its value is past its threshold *and* past what chance alone would
exceed once in a thousand looks at as many rows: a threshold tighter than a sample can tell apart
makes no noise. Under the monitor's `min_rows` it says `insufficient`.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from runtime.drift.distances import DISTANCES, compare, noise, rate_noise
from runtime.drift.histograms import PREDICTION, Column, present, total
from runtime.monitoring.tally import Tally, add_up

OF_NUMBERS = frozenset({"ks", "wasserstein", "out_of_range_rate"})
OF_CATEGORIES = frozenset({"unseen_rate"})
OF_TRAFFIC = frozenset({"error_rate", "latency_p95_ms", "traffic_per_minute"})
NOT_CAPTURED = "Not captured in a form that can be compared: see the endpoint's capture policy."
MAX_NAME = 250


@dataclass
class Subject:
    """What is compared: a column, of all releases whose models were trained on the same values of
    it, or of one. `pieces` are its histograms by bucket."""

    name: str
    column: str
    releases: list[str]
    reference: Column
    pieces: dict[int, list[Column]] = field(default_factory=dict)
    current: Column | None = None

    def by_bucket(self) -> dict[int, Column]:
        summed = {number: add_up(pieces) for number, pieces in self.pieces.items()}
        return {number: column for number, column in summed.items() if column is not None}


def find_subjects(tallies: Sequence[Tally]) -> list[Subject]:
    """Every column of every release's reference, those alike taken together. What a model answers
    is always told release by release."""
    told = [tally for tally in tallies if tally.reference and tally.row_count]
    told = told or [tally for tally in tallies if tally.reference]
    names = list(dict.fromkeys(n for each in told for n in (each.reference or {})["columns"]))
    return [subject for name in names for subject in _subjects_of(name, told)]


def _subjects_of(name: str, tallies: Sequence[Tally]) -> list[Subject]:
    groups: list[tuple[Column, list[Tally]]] = []
    for tally in tallies:
        reference = (tally.reference or {})["columns"].get(name)
        if reference is None:
            continue
        same = next((g for g in groups if g[0] == reference and name != PREDICTION), None)
        if same:
            same[1].append(tally)
        else:
            groups.append((reference, [tally]))
    is_split = len(groups) > 1 or name == PREDICTION
    return [_subject(name, reference, members, is_split) for reference, members in groups]


def _subject(name: str, reference: Column, tallies: list[Tally], is_split: bool) -> Subject:
    slugs = [tally.slug for tally in tallies]
    text = f"{name} ({', '.join(slugs)})" if is_split else name
    subject = Subject(text[:MAX_NAME], name, slugs, reference)
    for tally in tallies:
        for number, columns in tally.columns.items():
            if name in columns:
                subject.pieces.setdefault(number, []).append(columns[name])
    subject.current = add_up([each for pieces in subject.pieces.values() for each in pieces])
    return subject


def judge_columns(
    signal: Mapping[str, Any], subjects: Sequence[Subject], min_rows: int
) -> Iterator[dict[str, Any]]:
    """One entry for each subject that the signal is defined for and names."""
    name = signal["signal"]
    wanted = set(signal.get("columns") or ())
    for subject in subjects:
        kind = subject.reference["kind"]
        is_defined = not (
            (name in OF_NUMBERS and kind != "number")
            or (name in OF_CATEGORIES and kind != "category")
        )
        if is_defined and (not wanted or subject.column in wanted):
            yield _judge_column(signal, subject, min_rows)


def _judge_column(signal: Mapping[str, Any], subject: Subject, min_rows: int) -> dict[str, Any]:
    name, current = signal["signal"], subject.current
    entry = _entry(signal, subject.name, column=subject.column, releases=subject.releases)
    if current is None:
        return {**entry, "note": NOT_CAPTURED}
    if name in DISTANCES:
        n = present(current)
        value, floor = (
            compare(subject.reference, current)[name],
            noise(subject.reference, current)[name],
        )
    else:
        n = total(current) if name == "missing_rate" else present(current)
        value, floor, more = _excess(name, subject.reference, current, n)
        entry |= more
    entry |= {"n": n, "value": value, "noise": floor}
    if value is None or n < min_rows:
        return entry
    is_past = value > signal["threshold"] and value > (floor or 0.0)
    return {**entry, "state": "alert" if is_past else "ok"}


def _excess(
    name: str, reference: Column, current: Column, n: int
) -> tuple[float | None, float, dict[str, Any]]:
    """A share's points above the training's own, its noise, and both shares."""
    rate, usual = compare(reference, current)[name], compare(reference, reference)[name]
    if rate is None or usual is None:
        return None, 0.0, {"rate": rate, "reference_rate": usual}
    m = total(reference) if name == "missing_rate" else present(reference)
    # A range is known only as well as its sample: two values in m + 1 lie outside by chance.
    expected = max(usual, 2 / (m + 1)) if name == "out_of_range_rate" else usual
    floor = rate_noise(expected, int(1 / (1 / n + 1 / m)))
    return max(rate - usual, 0.0), floor, {"rate": rate, "reference_rate": usual}


def judge_traffic(
    signal: Mapping[str, Any], tallies: Sequence[Tally], minutes: float, min_rows: int
) -> dict[str, Any]:
    """The endpoint's own signals. Traffic is judged however little there is of it."""
    name, threshold = signal["signal"], signal["threshold"]
    requests, errors = count_requests(tallies)
    entry = _entry(signal, "", column="", releases=[tally.slug for tally in tallies])
    if name == "traffic_per_minute":
        n, value = requests, requests / minutes if minutes else None
        is_enough = True
    elif name == "error_rate":
        n, value = requests, errors / requests if requests else None
        is_enough = n >= min_rows
    else:
        latency = latency_ms(tallies)
        n, value = int(latency["n"]), latency["p95"]
        entry["is_approximate"] = latency["is_approximate"]
        is_enough = n >= min_rows
    entry |= {"n": n, "value": value}
    if value is None or not is_enough:
        return entry
    is_past = value < threshold if signal["direction"] == "below" else value > threshold
    return {**entry, "state": "alert" if is_past else "ok"}


def _entry(
    signal: Mapping[str, Any], subject: str, *, column: str, releases: list[str]
) -> dict[str, Any]:
    return {
        "signal": signal["signal"],
        "subject": subject,
        "column": column,
        "releases": releases,
        "value": None,
        "threshold": signal["threshold"],
        "direction": signal["direction"],
        "n": 0,
        "noise": None,
        "state": "insufficient",
        "note": "",
    }


def count_requests(tallies: Sequence[Tally]) -> tuple[int, int]:
    """Requests and, of these, errors, as the server counted them; where it left no counts, the
    captured requests."""
    lines = [line for tally in tallies for line in tally.traffic]
    if lines:
        return sum(line["requests"] for line in lines), sum(
            sum(x["errors"].values()) for x in lines
        )
    return sum(len(part) for each in tallies for p in each.latencies.values() for part in p), 0


def latency_ms(tallies: Sequence[Tally], bucket: int | None = None) -> dict[str, Any]:
    """p50, p95 and p99 in milliseconds and the number of requests they are of: exact, by nearest
    rank, from captured requests; where none were captured, the upper ends of the server's own
    power-of-two classes (`is_approximate`)."""
    parts = [
        part
        for tally in tallies
        for number, pieces in tally.latencies.items()
        if bucket is None or number == bucket
        for part in pieces
    ]
    values = np.sort(np.concatenate(parts)) if parts else np.zeros(0, dtype=np.int64)
    if len(values):
        ranks = {
            p: float(values[math.ceil(p / 100 * len(values)) - 1]) / 1_000 for p in (50, 95, 99)
        }
        return {"n": len(values), **_named(ranks), "is_approximate": False}
    classes = np.zeros(64, dtype=np.int64)
    for tally in tallies:
        for line in tally.traffic if bucket is None else ():
            counts = np.asarray(line["latency"][:64], dtype=np.int64)
            classes[: len(counts)] += counts
    n = int(classes.sum())
    if not n:
        return {"n": 0, "p50": None, "p95": None, "p99": None, "is_approximate": False}
    summed = np.cumsum(classes)
    ranks = {
        p: float(2 ** int(np.searchsorted(summed, math.ceil(p / 100 * n)))) / 1_000
        for p in (50, 95, 99)
    }
    return {"n": n, **_named(ranks), "is_approximate": True}


def _named(ranks: Mapping[int, float]) -> dict[str, float]:
    return {f"p{p}": value for p, value in ranks.items()}
