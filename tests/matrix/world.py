"""One project with everything in it, people of every role around it, and their ways in."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.test import Client
from django.utils import timezone

from apps.accounts.models import ApiToken, User
from apps.accounts.scopes import SCOPES as ALL_SCOPES
from apps.accounts.services import invite_person, make_sign_in_link
from apps.accounts.tokens import create_token
from apps.jobs.models import Job, State
from apps.overview.models import Backup
from apps.projects.models import Member, Project, Role
from apps.projects.services import create_project_token
from apps.targets.services import get_local_target
from tests.deployments.rows import make_addressed as make_deployed
from tests.experiments.making import make_told_run
from tests.factories import PASSWORD, make_member, make_project, make_user
from tests.monitoring.world import make_watched
from tests.pipelines.rows import make_addressed as make_piped
from tests.registry.rows import make_addressed as make_registered
from tests.schedules.rows import make_addressed as make_scheduled
from tests.sources.making import make_addressed

SLUG = "hidden-reef"
NAME = "Hidden Reef Survey"
ROLES = ("anonymous", "stranger", "viewer", "contributor", "owner", "admin")
SCOPES = tuple(ALL_SCOPES)


@dataclass
class World:
    """`fill` puts real ids into a path; `sessions` and `tokens` are the ways in, by name."""

    ids: dict[str, str]
    sessions: dict[str, str]
    tokens: dict[str, str]

    def client(self, way: str) -> Client:
        """A new browser, or program, of this role or with a token of this scope."""
        client = Client(raise_request_exception=False)
        if way in self.sessions:
            client.cookies[settings.SESSION_COOKIE_NAME] = self.sessions[way]
        if way in self.tokens:
            client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {self.tokens[way]}"
        return client

    def fill(self, text: str) -> str:
        for name, value in self.ids.items():
            text = text.replace(f"{{{name}}}", value)
        return text


def session_of(user: User) -> str:
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def build_world() -> World:
    project = make_project(slug=SLUG, name=NAME)
    elsewhere = make_project(slug="elsewhere", name="Elsewhere")
    people: dict[str, User] = {
        "stranger": make_member(elsewhere, Role.OWNER, password=PASSWORD),
        "viewer": make_member(project, Role.VIEWER, password=PASSWORD),
        "contributor": make_member(project, Role.CONTRIBUTOR, password=PASSWORD),
        "owner": make_member(project, Role.OWNER, password=PASSWORD),
        "admin": make_user(is_site_admin=True, password=PASSWORD),
    }
    # Whoever may do everything, so that what a token is refused is refused for its scope.
    everything = make_member(project, Role.OWNER, is_site_admin=True)
    tokens = {
        scope: create_token(everything, name=scope, scopes=[scope], days=1, created_by=everything)[
            1
        ]
        for scope in SCOPES
    }
    stranger = people["stranger"]
    tokens["stranger's token"] = create_token(
        stranger, name="all", scopes=SCOPES, days=1, created_by=stranger
    )[1]
    ids = _ids(project, people, everything)
    return World(ids, {name: session_of(person) for name, person in people.items()}, tokens)


def _ids(project: Project, people: dict[str, User], everything: User) -> dict[str, str]:
    job = Job.objects.create(
        project=project, target=get_local_target(), kind="check", label=f"Check {NAME}"
    )
    site_job = Job.objects.create(
        target=get_local_target(), kind="backup", label="Back up", state=State.QUEUED
    )
    ended = {"state": State.SUCCEEDED, "finished_at": timezone.now(), "next_poll_at": None}
    done = Job.objects.create(target=get_local_target(), kind="backup", label="Done", **ended)
    admin = people["admin"]
    invitation, link = invite_person(email="new@example.com", name="New", user=admin)
    token, _ = create_project_token(
        project, name="ci", role=Role.VIEWER, scopes=["read"], days=1, user=people["owner"]
    )
    own: dict[str, Any] = {
        name: create_token(person, name="own", scopes=["read"], days=1, created_by=person)[0]
        for name, person in people.items()
    }
    former = make_user(is_active=False, deactivated_at=timezone.now())
    run = make_told_run(project, people["owner"])
    return {
        **make_watched(project),
        **make_addressed(project),
        **make_piped(project, people["owner"]),
        **make_registered(project, people["owner"]),
        **make_scheduled(project, people["owner"]),
        **make_deployed(project, people["owner"]),
        "run": str(run.uuid),
        "experiment": str(run.experiment.uuid),
        "slug": project.slug,
        "job": str(job.pk),
        "site_job": str(site_job.pk),
        "backup": str(Backup.objects.create(job=done, archive="a.tar.gz").uuid),
        "member": str(Member.objects.get(project=project, user=people["viewer"]).uuid),
        "person": str(make_user().uuid),
        "former": str(former.uuid),
        "invited": str(invitation.user.uuid),
        "invitation": link.rstrip("/").rpartition("/")[2],
        "link": make_sign_in_link(make_user()).rstrip("/").rpartition("/")[2],
        "project_token": str(token.uuid),
        "own_token": str(own["owner"].uuid),
        "everything_token": str(ApiToken.objects.get(user=everything, name="read").uuid),
    }
