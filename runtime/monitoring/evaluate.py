"""One look at a window of an endpoint's captured requests: signals, and the data of its charts."""

import datetime as dt
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runtime.drift.distances import DISTANCES, compare, describe
from runtime.drift.histograms import VERSION, Histograms, present
from runtime.job import JobError
from runtime.monitoring.captures import Skipped, Window
from runtime.monitoring.signals import (
    OF_TRAFFIC,
    Subject,
    find_subjects,
    judge_columns,
    judge_traffic,
    latency_ms,
)
from runtime.monitoring.tally import Buckets, Tally, tally_release

# Charts are drawn of this many columns, those that drifted most; signals tell of all.
CHARTED = 100
# A bucket with fewer values than this says nothing of drift.
BUCKET_ROWS = 50


def evaluate(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Do what the spec asks: {"definition": a MonitorDocument, "window_start", "window_end": ISO,
    "releases": [{"slug", "captures": folder, "reference": file}]}.

    Returns {"rows", "releases", "signals", "charts", "skipped"}. Raise JobError when a release
    with traffic has no training reference that a signal needs.
    """
    definition = spec["definition"]
    window = Window(_time(spec["window_start"]), _time(spec["window_end"]))
    _say(f"Evaluating from {window.start} to {window.end}.")
    buckets, skipped = Buckets.of(window), Skipped()
    tallies = [
        tally_release(release, _read_reference(release), window, buckets, skipped)
        for release in spec["releases"]
    ]
    for tally in tallies:
        _say(f"{tally.slug}: {tally.row_count:,} rows counted.")
    of_columns = [each for each in definition["signals"] if each["signal"] not in OF_TRAFFIC]
    if of_columns:
        _refuse_unreferenced(tallies)
    subjects = find_subjects(tallies)
    _refuse_unknown_columns(of_columns, subjects)
    return {
        "rows": sum(tally.row_count for tally in tallies),
        "releases": {tally.slug: tally.row_count for tally in tallies},
        "signals": _judge(definition, tallies, subjects, window),
        "charts": {
            "columns": _column_charts(subjects),
            "series": _series(tallies, subjects, buckets),
        },
        "skipped": {"count": skipped.count, "names": skipped.names},
    }


def _say(text: str) -> None:
    """A line of the job's log, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _time(text: str) -> dt.datetime:
    time = dt.datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=dt.UTC)


def _read_reference(release: Mapping[str, Any]) -> Histograms | None:
    try:
        found = json.loads(Path(release["reference"]).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        raise JobError(
            f"The training reference of release {release['slug']} cannot be read. Register its "
            "model version again.",
            field="reference",
        ) from None
    if not isinstance(found, dict) or found.get("version") != VERSION:
        raise JobError(
            f"The training reference of release {release['slug']} is of another format. Register "
            "its model version again.",
            field="reference",
        )
    return found


def _refuse_unreferenced(tallies: Sequence[Tally]) -> None:
    for tally in tallies:
        if tally.reference is None and tally.row_count:
            raise JobError(
                f"The model version of release {tally.slug} has no training reference, so drift "
                "cannot be told. Register it from a run again, or watch only the endpoint's "
                "errors, latency and traffic.",
                field="reference",
            )


def _refuse_unknown_columns(signals: Sequence[Mapping[str, Any]], subjects: list[Subject]) -> None:
    known = {subject.column for subject in subjects}
    for signal in signals:
        unknown = sorted(set(signal.get("columns") or ()) - known)
        if known and unknown:
            raise JobError(
                f"{unknown[0]} is in no release's training reference. Take it out of the "
                f"monitor's {signal['signal']} signal.",
                field="columns",
            )


def _judge(
    definition: Mapping[str, Any],
    tallies: Sequence[Tally],
    subjects: Sequence[Subject],
    window: Window,
) -> list[dict[str, Any]]:
    min_rows = int(definition["min_rows"])
    entries: list[dict[str, Any]] = []
    for signal in definition["signals"]:
        if signal["signal"] in OF_TRAFFIC:
            entries.append(judge_traffic(signal, tallies, window.seconds / 60, min_rows))
        else:
            entries.extend(judge_columns(signal, subjects, min_rows))
    return entries


def _column_charts(subjects: Sequence[Subject]) -> list[dict[str, Any]]:
    charts = []
    for subject in _most_drifted(subjects):
        current = subject.current
        if current is None:
            continue
        measures = compare(subject.reference, current)
        shape = describe(subject.reference, current)
        charts.append(
            {
                "subject": subject.name,
                "column": subject.column,
                "releases": subject.releases,
                "n": present(current),
                "missing": current["missing"],
                "reference_n": present(subject.reference),
                **{name: _short(value) for name, value in shape.items()},
                "measures": _short(measures),
            }
        )
    return charts


def _most_drifted(subjects: Sequence[Subject]) -> list[Subject]:
    if len(subjects) <= CHARTED:
        return list(subjects)

    def drift(subject: Subject) -> float:
        found = compare(subject.reference, subject.current) if subject.current else {}
        return found.get("psi") or 0.0

    return sorted(subjects, key=drift, reverse=True)[:CHARTED]


def _series(
    tallies: Sequence[Tally], subjects: Sequence[Subject], buckets: Buckets
) -> dict[str, Any]:
    """Every list has a place for each bucket. Nothing to tell is null, never 0."""
    places = range(buckets.count)
    errors: dict[str, list[int]] = {}
    requests: dict[str, list[int]] = {}
    for tally in tallies:
        counted = requests.setdefault(tally.slug, [0] * buckets.count)
        for line in tally.traffic:
            place = buckets.place(line["minute"])
            counted[place] += line["requests"]
            for status, times in line["errors"].items():
                errors.setdefault(status, [0] * buckets.count)[place] += times
        if not tally.traffic:
            for place, parts in tally.latencies.items():
                counted[place] += sum(map(len, parts))
    latency = {tally.slug: [latency_ms([tally], place) for place in places] for tally in tallies}
    return {
        "step_seconds": buckets.step,
        "starts": buckets.starts(),
        "requests": requests,
        "rows": {t.slug: [t.rows.get(place, 0) for place in places] for t in tallies},
        "errors": errors,
        "latency_ms": {
            slug: {name: [each[name] for each in told] for name in ("n", "p50", "p95", "p99")}
            for slug, told in latency.items()
        },
        "drift": {each.name: _drift(each, buckets) for each in _most_drifted(subjects)},
    }


def _drift(subject: Subject, buckets: Buckets) -> dict[str, list[Any]]:
    series: dict[str, list[Any]] = {"n": [0] * buckets.count}
    names = DISTANCES if subject.reference["kind"] == "number" else ("psi", "js")
    for name in names:
        series[name] = [None] * buckets.count
    for place, column in subject.by_bucket().items():
        series["n"][place] = present(column)
        if present(column) >= BUCKET_ROWS:
            measures = _short(compare(subject.reference, column))
            for name in names:
                series[name][place] = measures[name]
    return series


def _short(value: Any) -> Any:
    """Charts need six digits, not seventeen."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, list):
        return [_short(each) for each in value]
    if isinstance(value, dict):
        return {key: _short(each) for key, each in value.items()}
    return value
