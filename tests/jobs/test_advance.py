"""One step at a time, without a worker process: what `advance` does to a row."""

import datetime as dt
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from apps.core.errors import Conflict
from apps.jobs import services
from apps.jobs.models import Job, JobEvent, State
from apps.projects.models import Role
from apps.targets.models import Desired, Target
from tests.factories import make_member, make_project, make_user
from workers import tasks
from workers.engines.base import Observation
from workers.tasks import advance


def launch(target: Target, **fields: Any) -> Job:
    asked: dict[str, Any] = {"spec": {"seconds": 0}, "user": None, "label": "A check"}
    return services.create_job("check", target=target, **{**asked, **fields})


def look(job: Job, times: int = 1) -> Job:
    """Take steps as if the time for each had come."""
    for _ in range(times):
        Job.objects.filter(pk=job.pk, finished_at=None).update(next_poll_at=timezone.now())
        advance([str(job.pk)])
    job.refresh_from_db()
    return job


def started(folder: Path) -> list[str]:
    path = folder / "started"
    return path.read_text().split() if path.exists() else []


def test_job_goes_from_queued_to_succeeded(ledger: Target, folder: Path) -> None:
    job = launch(ledger)
    assert job.state == State.QUEUED
    look(job)
    assert (job.state, job.external_id) == (State.RUNNING, f"ledger-{job.pk}")
    look(job)
    assert job.state == State.SUCCEEDED
    assert job.outputs == {"line": f"ledger-{job.pk}"}
    assert job.claim is None
    assert job.next_poll_at is None
    assert started(folder) == [str(job.pk)]
    assert [e.state for e in job.events.all()] == ["queued", "running", "succeeded"]


def test_refused_job_fails_with_the_engines_words(ledger: Target, folder: Path) -> None:
    (folder / "refuse").touch()
    job = look(launch(ledger))
    assert (job.state, job.message) == (State.FAILED, "The ledger is closed to this job.")


def test_slow_submit_is_entered_again_with_its_cursor(ledger: Target, folder: Path) -> None:
    (folder / "slow").touch()
    job = look(launch(ledger))
    assert (job.state, job.cursor, job.external_id) == (State.RUNNING, "half", "")
    assert look(job, 2).state == State.SUCCEEDED
    assert started(folder) == [str(job.pk)]


def test_engine_away_is_unknown_not_failed(ledger: Target, folder: Path) -> None:
    (folder / "hold").touch()
    job = look(launch(ledger), 2)
    seen_at = job.observed_at
    (folder / "down").touch()
    look(job, 3)
    assert (job.state, job.reachable, job.attempt) == (State.RUNNING, False, 3)
    assert job.observed_at == seen_at
    (folder / "down").unlink()
    look(job)
    assert (job.reachable, job.attempt) == (True, 0)
    assert [e.message for e in job.events.all()][-2:] == [
        "Contact lost: The ledger does not answer.",
        "In contact.",
    ]


def test_cancel_before_start_starts_nothing(ledger: Target, folder: Path) -> None:
    project = make_project()
    user = make_member(project, Role.CONTRIBUTOR)
    job = services.request_cancel(launch(ledger, project=project), user=user)
    assert look(job).state == State.CANCELLED
    assert started(folder) == []


def test_cancel_while_running_stops_it(ledger: Target, folder: Path) -> None:
    (folder / "hold").touch()
    project = make_project()
    user = make_member(project, Role.CONTRIBUTOR)
    job = look(launch(ledger, project=project), 2)
    services.request_cancel(job, user=user)
    assert look(job).state == State.CANCELLED


def test_cancel_between_submit_and_save_leaves_nothing_running(
    ledger: Target, folder: Path
) -> None:
    (folder / "hold").touch()
    project = make_project()
    job = launch(ledger, project=project)
    held = services.claim(str(job.pk), host="elsewhere")
    assert held
    tasks.step(held)  # submitted, but the worker dies before it can record it
    services.request_cancel(job, user=make_member(project, Role.OWNER))
    assert look(job).state == State.CANCELLED
    assert started(folder) == [str(job.pk)]


def test_cancel_of_an_ended_job_is_a_conflict(ledger: Target) -> None:
    admin = make_user(is_site_admin=True)
    job = look(launch(ledger), 2)
    with pytest.raises(Conflict, match="ended already: succeeded"):
        services.request_cancel(job, user=admin)


def test_cancel_asked_for_while_a_worker_holds_the_job_is_seen_at_once(
    ledger: Target, folder: Path
) -> None:
    (folder / "hold").touch()
    job = look(launch(ledger))
    held = services.claim(str(job.pk), host="here")
    assert held
    services.request_cancel(job, user=make_user(is_site_admin=True))
    tasks.record(held, tasks.Outcome(look_again_in=1000))
    job.refresh_from_db()
    assert job.next_poll_at is not None
    assert job.next_poll_at <= timezone.now()


def test_deadline_stops_the_job_and_fails_it(ledger: Target, folder: Path) -> None:
    (folder / "hold").touch()
    job = look(launch(ledger), 2)
    Job.objects.filter(pk=job.pk).update(give_up_at=timezone.now())
    assert look(job).state == State.FAILED
    assert "Not done before its deadline" in job.message
    assert f"cancel ledger-{job.pk}" in (folder / "asked").read_text()


def test_engine_deaf_to_cancel_is_given_up(ledger: Target, folder: Path) -> None:
    (folder / "hold").touch()
    (folder / "deaf").touch()
    job = look(launch(ledger), 2)
    services.request_cancel(job, user=make_user(is_site_admin=True))
    assert look(job, 2).state == State.RUNNING
    Job.objects.filter(pk=job.pk).update(give_up_at=timezone.now())
    assert look(job).state == State.FAILED
    assert "may still run" in job.message


def test_stale_workers_late_record_changes_nothing(ledger: Target) -> None:
    job = look(launch(ledger))
    stale = services.claim(str(job.pk), host="here")
    assert stale
    Job.objects.filter(pk=job.pk).update(next_poll_at=timezone.now())
    fresh = services.claim(str(job.pk), host="here")
    assert fresh
    late = tasks.Outcome(Observation("failed", "late"), log_pieces=("late",))
    assert not tasks.record(stale, late)
    job.refresh_from_db()
    assert (job.state, job.claim) == (State.RUNNING, fresh.claim)
    assert not job.log_pieces.exists()
    assert not JobEvent.objects.filter(message="late").exists()


def test_held_job_cannot_be_claimed_until_its_lease_ends(ledger: Target) -> None:
    job = launch(ledger)
    assert services.claim(str(job.pk), host="here")
    assert services.claim(str(job.pk), host="here") is None
    Job.objects.filter(pk=job.pk).update(next_poll_at=timezone.now())
    assert services.claim(str(job.pk), host="here")


def test_clock_stepped_back_leaves_no_job_waiting(ledger: Target) -> None:
    job = launch(ledger)
    Job.objects.filter(pk=job.pk).update(
        next_poll_at=timezone.now() + dt.timedelta(hours=1),
        sent_at=timezone.now() + dt.timedelta(hours=1),
        claim=uuid.uuid4(),
    )
    services.forget_lost_nudges(is_queue_empty=False)
    assert [each.pk for each in services.due_unsent(10)] == [job.pk]
    assert services.claim(str(job.pk), host="here")


def test_local_job_is_left_to_its_host(ledger: Target) -> None:
    job = launch(ledger)
    Job.objects.filter(pk=job.pk).update(worker_host="other-machine")
    assert services.claim(str(job.pk), host="here") is None
    job.refresh_from_db()
    assert services.queue_of(job) == "host.other-machine"


def test_paused_target_keeps_jobs_queued(ledger: Target, folder: Path) -> None:
    Target.objects.filter(pk=ledger.pk).update(desired=Desired.PAUSED)
    job = look(launch(ledger))
    assert job.state == State.QUEUED
    assert "paused" in job.message
    Target.objects.filter(pk=ledger.pk).update(desired=Desired.ACTIVE)
    assert look(job).state == State.RUNNING


def test_many_running_jobs_are_asked_about_in_one_call(ledger: Target, folder: Path) -> None:
    (folder / "hold").touch()
    jobs = [look(launch(ledger)) for _ in range(5)]
    Job.objects.update(next_poll_at=timezone.now())
    advance([str(job.pk) for job in jobs])
    assert (folder / "asked").read_text().split("\n")[:-1] == ["poll_many 5"]
    assert Job.objects.filter(message="holding", claim=None).count() == 5


def test_bug_costs_one_job_and_not_at_once(
    ledger: Target, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job = look(launch(ledger))
    (folder / f"{job.pk}.log").write_text("x")
    Job.objects.filter(pk=job.pk).update(log_cursor="not a number")
    look(job, 4)
    assert (job.state, job.attempt) == (State.RUNNING, 4)
    look(job)
    assert job.state == State.FAILED
    assert str(job.pk) in job.message
    assert len([r for r in caplog.records if "bug while advancing" in r.message]) == 5


def test_log_is_kept_in_order_and_once(ledger: Target, folder: Path) -> None:
    job = look(launch(ledger))
    (folder / f"{job.pk}.log").write_text("é" * 2500)
    look(job)
    pieces = list(job.log_pieces.all())
    assert "".join(piece.text for piece in pieces) == "é" * 2500
    assert [piece.offset for piece in pieces] == [0, 2000, 4000]
    assert sum(piece.size for piece in pieces) == 5000


def test_log_past_the_limit_is_cut_with_a_notice(ledger: Target) -> None:
    job = launch(ledger)
    services.append_log(job, ["a" * (services.LOG_LIMIT_BYTES - 10), "b" * 100, "c"])
    services.append_log(job, ["d"])
    text = "".join(piece.text for piece in job.log_pieces.all())
    assert text.count("b") == 10 + services.LOG_LIMIT_NOTICE.count("b")
    assert text.endswith(services.LOG_LIMIT_NOTICE)


def test_lease_is_renewed_while_a_step_takes_long(ledger: Target) -> None:
    job = services.claim(str(launch(ledger).pk), host="here")
    assert job
    before = job.next_poll_at
    assert services.renew(job)
    job.refresh_from_db()
    assert before is not None
    assert job.next_poll_at is not None
    assert job.next_poll_at >= before
    assert settings.LEASE_SECONDS > 0
