"""Every page people can open, with what must be there for it. Addresses take these rows' ids."""

from dataclasses import dataclass, field
from datetime import timedelta

from django.utils import timezone

from apps.accounts.models import User
from apps.events.services import record_event
from apps.jobs.models import Job, JobEvent, State
from apps.projects.models import Project, Role
from apps.targets.services import get_local_target
from tests.factories import make_member, make_project, make_user

LONG = "a name so long that no column could hold it without cutting, " * 3
SIGNED_OUT = ("/account/login/", "/account/password/reset/")
SIGNED_IN = (
    "/",
    "/?filter=name ~ nothing",
    "/projects/new/",
    "/activity/",
    "/activity/?filter=state = failed and (created_by =",
    "/targets/",
    "/targets/{target}/",
    "/jobs/{running}/",
    "/jobs/{failed}/",
    "/p/{slug}/",
    "/p/{slug}/activity/",
    "/p/{slug}/checks/new/",
    "/p/{slug}/timeline/",
    "/p/{slug}/members/",
    "/p/{slug}/tokens/",
    "/p/{slug}/settings/",
    "/me/",
    "/me/tokens/",
    "/account/sessions/",
    "/account/password/change/",
    "/account/2fa/",
    "/api/v1/docs/",
    "/site/people/",
    "/site/people/invite/",
    "/site/people/{person}/",
    "/site/projects/",
    "/site/backups/",
    "/site/audit/",
)


@dataclass
class World:
    """A small site with something on every page, and names that are too long for it."""

    admin: User = field(default_factory=lambda: make_user(name="Mira Okafor", is_site_admin=True))

    def __post_init__(self) -> None:
        self.project = make_project(name="Household churn", description="Who leaves, and why.")
        self.project.members.create(user=self.admin, role=Role.OWNER)
        self.person = make_member(self.project, Role.VIEWER, name=LONG[:120])
        other = make_project(name=LONG[:100])
        other.members.create(user=self.admin, role=Role.VIEWER)
        self.running = self._job(State.RUNNING, project=self.project)
        self.failed = self._job(State.FAILED, project=self.project)
        for verb in ("project.created", "job.launched"):
            record_event(
                verb, actor=self.admin, kind="project", id=self.project.uuid, label=LONG[:120],
                project_id=self.project.uuid, before={"name": "x"}, after={"name": LONG[:120]},
            )  # fmt: skip

    def _job(self, state: State, *, project: Project) -> Job:
        ago = timezone.now() - timedelta(minutes=3)
        job = Job.objects.create(
            project=project,
            target=get_local_target(),
            kind="target-check",
            label=LONG[:120],
            state=state,
            message="It used more memory than its limit." if state == State.FAILED else "",
            created_by=self.admin,
            started_at=ago,
            finished_at=timezone.now() if state == State.FAILED else None,
            next_poll_at=None if state == State.FAILED else ago + timedelta(days=1),
            outputs={"denied": 11},
        )
        JobEvent.objects.create(job=job, state=state, message=LONG[:120])
        return job

    def address(self, path: str) -> str:
        return path.format(
            slug=self.project.slug,
            target=get_local_target().slug,
            running=self.running.pk,
            failed=self.failed.pk,
            person=self.person.uuid,
        )
