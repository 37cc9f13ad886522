"""Jobs: the only state machine for things that end."""

import datetime as dt
import uuid
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from apps.accounts.models import User
from apps.projects.models import Member, Project, Role
from apps.targets.models import Target
from runtime.definitions import UNSHOWN


class State(models.TextChoices):
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"

    @property
    def is_final(self) -> bool:
        return self in FINAL_STATES


FINAL_STATES = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})
# No honest `next_poll_at` lies further ahead than this many leases. One that does was written
# before the clock stepped back, and is due now.
HORIZON_LEASES = 4


def horizon() -> dt.timedelta:
    return dt.timedelta(seconds=settings.LEASE_SECONDS * HORIZON_LEASES)


class JobQuerySet(models.QuerySet["Job"]):
    def due(self) -> "JobQuerySet":
        """Jobs somebody should look at now, by this host's clock."""
        now = timezone.now()
        return self.filter(Q(next_poll_at__lte=now) | Q(next_poll_at__gt=now + horizon()))

    def claimable(self) -> "JobQuerySet":
        """Unfinished jobs that no worker holds, or whose holder's lease has run out."""
        now = timezone.now()
        free = (
            Q(claim__isnull=True) | Q(next_poll_at__lte=now) | Q(next_poll_at__gt=now + horizon())
        )
        return self.filter(free, next_poll_at__isnull=False)

    def on_host(self, host: str) -> "JobQuerySet":
        """Jobs this host may advance: its own local ones, and all that no host holds."""
        return self.filter(Q(worker_host="") | Q(worker_host=host))

    def visible_to(self, user: User) -> "JobQuerySet":
        """Jobs of the user's projects; those of no project are for site admins."""
        # EXISTS, not IN: so lists are read along `job_recent` and end with the page; from an IN,
        # SQLite gathers and sorts every job there is.
        mine = Member.objects.filter(user_id=user.pk, project_id=OuterRef("project_id"))
        seen = Q(Exists(mine))
        if user.is_site_admin:
            seen |= Q(project__isnull=True)
        return self.filter(seen, is_ephemeral=False)

    def cancellable_by(self, user: User) -> "JobQuerySet":
        """Jobs the user may stop: contributors their projects', site admins the site's own."""
        mine = Member.objects.filter(user_id=user.pk, role__in=Role.at_least(Role.CONTRIBUTOR))
        seen = Q(project_id__in=mine.values("project_id"))
        if user.is_site_admin:
            seen |= Q(project__isnull=True)
        return self.filter(seen, is_ephemeral=False)


class Job(models.Model):
    """Anything slow. The row is the truth; queues, processes and clouds are followed into it.

    ```
    queued ──submit──▶ running ──▶ succeeded
       │                  ├──────▶ failed
       └──────────────────┴──────▶ cancelled
    ```
    Cancelling is a timestamp, not a state. A worker holds a job only through `claim`, until
    `next_poll_at`; whoever's claim is not the row's can change nothing. `reachable` False means
    contact is lost: what we last knew (`state`, at `observed_at`) is shown as unknown.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, null=True, blank=True, related_name="jobs"
    )
    target = models.ForeignKey(Target, on_delete=models.PROTECT, related_name="jobs")
    kind = models.CharField(max_length=32)
    label = models.CharField(max_length=200)
    spec = models.JSONField(default=dict)
    state = models.CharField(max_length=16, choices=State.choices, default=State.QUEUED)
    external_id = models.CharField(max_length=255, blank=True)
    cursor = models.TextField(blank=True)
    log_cursor = models.CharField(max_length=255, blank=True)
    outputs = models.JSONField(default=dict)
    message = models.CharField(max_length=2000, blank=True)
    attempt = models.PositiveIntegerField(default=0)
    claim = models.UUIDField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    worker_host = models.CharField(max_length=255, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    next_poll_at = models.DateTimeField(null=True, blank=True, default=timezone.now)
    give_up_at = models.DateTimeField(null=True, blank=True)
    observed_at = models.DateTimeField(null=True, blank=True)
    reachable = models.BooleanField(default=True)
    is_ephemeral = models.BooleanField(default=False)

    objects: ClassVar[JobQuerySet] = JobQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            # The sweep's question, asked every second: only unfinished jobs are in the index.
            models.Index(
                fields=["next_poll_at"], name="job_due", condition=Q(next_poll_at__isnull=False)
            ),
            # Lists, newest first, of one project and of all one may see.
            models.Index(fields=["project", "-created_at", "-id"], name="job_project"),
            models.Index(fields=["-created_at", "-id"], name="job_recent"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=State.values), name="job_state"),
            models.CheckConstraint(
                condition=Q(next_poll_at__isnull=True, finished_at__isnull=False)
                | Q(next_poll_at__isnull=False, finished_at__isnull=True),
                name="job_ended_or_due",
            ),
        ]

    def __str__(self) -> str:
        return self.label

    @property
    def is_final(self) -> bool:
        return State(self.state).is_final

    @property
    def shown_spec(self) -> dict[str, Any]:
        """The spec as people who see the job may see it."""
        unshown = UNSHOWN.get(self.kind, frozenset())
        return {name: value for name, value in self.spec.items() if name not in unshown}


class JobEvent(models.Model):
    """One thing that happened to a job: history, notification source and statistic at once."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="events")
    state = models.CharField(max_length=16, choices=State.choices)
    message = models.CharField(max_length=2000, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.state}: {self.message}"


class JobLog(models.Model):
    """A piece of a job's log as the worker read it; `offset` is its place in bytes."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="log_pieces")
    offset = models.BigIntegerField()
    size = models.PositiveIntegerField()
    text = models.TextField()

    class Meta:
        ordering = ["offset"]
        constraints = [models.UniqueConstraint(fields=["job", "offset"], name="log_piece_once")]

    def __str__(self) -> str:
        return f"{self.job_id} at {self.offset}"


class Host(models.Model):
    """A machine whose worker has been seen. SQLite allows one at a time."""

    name = models.CharField(max_length=255, unique=True)
    started_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.name
