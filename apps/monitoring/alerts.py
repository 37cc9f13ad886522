"""Alerts: opened when a signal goes past its threshold, closed when it is back inside."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.utils import timezone

from apps.events.services import record_event
from apps.jobs.models import State
from apps.monitoring.models import Alert, Evaluation, Monitor

Key = tuple[str, str]


def update_alerts(evaluation: Evaluation) -> None:
    """Open and close the monitor's alerts by what a finished evaluation found. Only a change of
    state is told of. Call in the transaction that ends its job.

    An evaluation of an earlier window than one already finished, or of one release where the
    monitor watches more, changes nothing: alerts tell of now, and of the whole.
    """
    monitor = Monitor.objects.select_for_update().get(pk=evaluation.monitor_id)
    if not _is_the_latest(evaluation, monitor):
        return
    open_alerts = {
        (alert.signal, alert.subject): alert
        for alert in monitor.alerts.filter(closed_at__isnull=True)
    }
    found = dict(_entries(evaluation.results.get("signals", [])))
    for key, entry in found.items():
        if entry["state"] == "alert" and key not in open_alerts:
            _open(evaluation, monitor, key, entry)
    for key, alert in open_alerts.items():
        if key not in found:
            _close(alert, monitor, {"reason": "It is no longer watched."})
        elif found[key]["state"] == "ok":
            _close(alert, monitor, {"value": found[key]["value"], "n": found[key]["n"]})


def _is_the_latest(evaluation: Evaluation, monitor: Monitor) -> bool:
    later = monitor.evaluations.filter(
        job__state=State.SUCCEEDED, window_end__gt=evaluation.window_end
    )
    spec = evaluation.job.spec
    watched = str(monitor.definition.get("release") or "")
    slugs = {str(each.get("slug")) for each in spec.get("releases", [])}
    if watched:
        is_whole = slugs == {watched}
    else:
        then = monitor.endpoint.releases.filter(created_at__lte=evaluation.job.created_at)
        is_whole = slugs >= set(then.values_list("slug", flat=True))
    return is_whole and not later.exists()


def _entries(signals: list[Any]) -> Iterator[tuple[Key, dict[str, Any]]]:
    """The signals by name and subject, those of another shape left out."""
    for each in signals:
        if not isinstance(each, dict) or each.get("state") not in ("ok", "alert", "insufficient"):
            continue
        value, threshold = each.get("value"), each.get("threshold")
        has_figures = all(isinstance(x, int | float) for x in (value, threshold))
        if has_figures or each["state"] == "insufficient":
            yield (str(each.get("signal"))[:64], str(each.get("subject"))[:255]), each


def _open(evaluation: Evaluation, monitor: Monitor, key: Key, entry: Mapping[str, Any]) -> None:
    signal, subject = key
    alert = Alert.objects.create(
        monitor=monitor,
        signal=signal,
        subject=subject,
        value=float(entry["value"]),
        threshold=float(entry["threshold"]),
        opened_by=evaluation,
    )
    figures = {name: entry.get(name) for name in ("value", "threshold", "n")}
    _tell("alert.opened", alert, monitor, {"signal": signal, "subject": subject, **figures})


def _close(alert: Alert, monitor: Monitor, why: Mapping[str, Any]) -> None:
    alert.closed_at = timezone.now()
    alert.save(update_fields=["closed_at"])
    _tell("alert.closed", alert, monitor, {"signal": alert.signal, "subject": alert.subject, **why})


def _tell(verb: str, alert: Alert, monitor: Monitor, after: Mapping[str, Any]) -> None:
    record_event(
        verb,
        actor=None,
        kind="alert",
        id=alert.uuid,
        label=f"{monitor}: {alert}",
        project_id=monitor.endpoint.project.uuid,
        after=after,
    )
