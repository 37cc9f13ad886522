"""One of everything, so that REST's addresses have something to point at."""

import re
from dataclasses import dataclass, field
from typing import Any

from django.test import Client
from django.utils import timezone

from apps.accounts.models import User
from apps.accounts.scopes import SCOPES
from apps.accounts.services import deactivate_person, invite_person
from apps.accounts.tokens import create_token
from apps.jobs.models import Job
from apps.jobs.services import launch_check
from apps.overview.services import back_up_portal
from apps.projects.models import Member, Project, Role
from apps.projects.services import create_project_token
from apps.sources.models import Upload
from runtime.definitions import CheckSpec
from tests.deployments.rows import make_addressed as make_deployed
from tests.experiments.making import DEFINITION, make_told_run
from tests.factories import make_member, make_project, make_user
from tests.monitoring.world import definition, make_watched
from tests.pipelines.rows import MONTHLY
from tests.pipelines.rows import make_addressed as make_piped
from tests.registry.rows import make_addressed as make_registered
from tests.schedules.rows import WEEKLY
from tests.schedules.rows import make_addressed as make_scheduled
from tests.sources.making import make_addressed, make_dataset, make_source, upload_definition
from workers.tasks import advance

PROJECT_FILE = "portolan: 1\nproject: {slug: world, name: World}\n"
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
CSRF = "a" * 32
# A token may not make or end tokens: these are asked as the browser does.
IN_SESSION = frozenset(
    {"tokens_create", "tokens_revoke", "project_tokens_create", "project_tokens_revoke"}
)


@dataclass
class World:
    """A site admin who owns a project, and what lies under each address.

    `ids`: by resource and name in the address, or by operation where it needs another one.
    `bodies`: a good body for each operation that takes one which no generator would guess;
    `queries`: a good query for each that needs one.
    """

    person: User
    project: Project
    token: dict[str, str]
    cookies: dict[str, str]
    ids: dict[str, str] = field(default_factory=dict)
    bodies: dict[str, Any] = field(default_factory=dict)
    queries: dict[str, dict[str, Any]] = field(default_factory=dict)

    def credentials(self, operation: str) -> dict[str, dict[str, str]]:
        """The headers and cookies that the operation is called with."""
        if operation in IN_SESSION:
            return {"headers": {"X-CSRFToken": CSRF}, "cookies": self.cookies}
        return {"headers": self.token}

    def path_parameters(self, operation: str, path: str) -> dict[str, str]:
        """Real values for the name in an address such as `/api/v1/jobs/{id}/`."""
        resource = path.split("/")[3]
        names = re.findall(r"{(\w+)}", path)
        found = {name: self.ids.get(operation) or self.ids[resource] for name in names[:1]}
        return found | {name: self.ids[f"{operation}.{name}"] for name in names[1:]}


def make_world() -> World:
    project = make_project(slug="world")
    person = make_member(project, Role.OWNER, is_site_admin=True)
    Project.objects.update(created_by=person)
    _, text = create_token(person, name="all", scopes=SCOPES, days=1, created_by=person)
    world = World(person, project, {"Authorization": f"Bearer {text}"}, _session_cookies(person))
    world.ids = _make_things(project, person)
    colleague = make_user()
    token = {"name": "a robot", "scopes": ["read"]}
    world.bodies = {
        "invitations_create": {"email": "new@example.com", "name": "New"},
        "members_create": {"project": "world", "email": colleague.email, "role": "viewer"},
        "members_update": {"role": "contributor"},
        "project_tokens_create": {"project": "world", "role": "viewer", **token},
        "projects_create": {"name": "Another"},
        "projects_update": {"name": "The whole world"},
        "project_files_plan": {"document": PROJECT_FILE},
        "project_files_apply": {"document": PROJECT_FILE},
        "target_checks_create": {"project": "world"},
        "tokens_create": token,
    }
    _add_monitoring(world)
    _add_experiments(world)
    _add_sources(world)
    _add_pipelines(world)
    _add_registry(world)
    _add_deployments(world)
    return world


def _add_deployments(world: World) -> None:
    ids = make_deployed(world.project, world.person)
    world.ids |= {
        "endpoints": ids["endpoint"],
        "releases": ids["spare_release"],
        "route-changes": ids["route_change"],
        "endpoint-keys": ids["endpoint_key"],
    }
    of = {"project": "world", "endpoint": "deployed"}
    world.bodies |= {
        "endpoints_create": {"project": "world", "slug": "more", "definition": {"model": "churn"}},
        "endpoints_update": {"definition": {"model": "churn", "sticky": "household_id"}},
        "endpoints_weights": {"weights": {"first": 90, "second": 10}, "reason": "A try."},
        "endpoints_roll_back": {"reason": "Too slow."},
        "releases_create": {**of, "version": ids["releasable_version"], "slug": "next"},
        "endpoint_keys_create": {**of, "name": "a client", "days": 30},
    }


def _add_registry(world: World) -> None:
    ids = make_registered(world.project, world.person)
    ids |= make_scheduled(world.project, world.person)
    world.ids |= {
        "models": ids["model"],
        "model-versions": ids["model_version"],
        "schedules": ids["schedule"],
        "schedules_delete": ids["spare_schedule"],
    }
    of = {"project": "world", "model": "registered", "run": ids["registrable_run"]}
    world.bodies |= {
        "models_create": {"project": "world", "slug": "another"},
        "models_update": {"policy": {"needs_onnx": True}},
        "models_aliases_set": {"name": "next", "version": ids["model_version"]},
        "models_aliases_remove": {"name": "best"},
        "model_versions_create": of,
        "model_versions_approve": {"reason": "Good."},
        "model_versions_reject": {"reason": "Bad."},
        "schedules_create": {"project": "world", "slug": "another", "definition": WEEKLY},
        "schedules_update": {"definition": WEEKLY},
    }


def _add_pipelines(world: World) -> None:
    ids = make_piped(world.project, world.person)
    world.ids |= {
        "pipelines": ids["pipeline"],
        "pipeline-versions": ids["pipeline_version"],
        "pipeline-runs": ids["pipeline_run"],
    }
    of = {"project": "world", "definition": MONTHLY}
    world.bodies |= {
        "pipelines_create": {**of, "slug": "another"},
        "pipelines_update": {"description": "What they buy"},
        "pipelines_versions": {"definition": MONTHLY},
        "pipelines_launch": {"version": 1},
        "pipelines_preview": {**of, "step": "known"},
        "pipeline_versions_preview": {"step": "known"},
    }


def _add_sources(world: World) -> None:
    source = make_source(world.project)
    ids = make_addressed(world.project)
    world.ids |= {
        "uploads": ids["upload"],
        "sources": str(source.uuid),
        "sources_delete": ids["source"],
        "datasets": str(make_dataset(world.project, source).uuid),
        "dataset-versions": ids["dataset_version"],
    }
    definition = upload_definition(Upload.objects.get(uuid=ids["upload"]))
    world.bodies |= {
        "uploads_create": {"project": "world", "file": b"a,b\n1,2\n"},
        "sources_create": {"project": "world", "slug": "another", "definition": definition},
        "sources_update": {"description": "What they buy"},
        "datasets_create": {"project": "world", "slug": "more", "source": source.slug},
        "datasets_ingest": {"schema_change": "accept"},
    }


def _add_experiments(world: World) -> None:
    run = make_told_run(world.project, world.person)
    of = {"project": "world", "experiment": run.experiment.slug}
    world.ids |= {
        "experiments": str(run.experiment.uuid),
        "runs": str(run.uuid),
        "runs_reports.name": "roc",
    }
    world.bodies |= {
        "experiments_create": {"project": "world", "slug": "another"},
        "experiments_update": {"description": "Who leaves?"},
        "runs_create": {**of, "definition": DEFINITION},
        "runs_update": {"tags": {"note": "second"}},
        "runs_compare": {"runs": [str(run.uuid)]},
    }
    world.queries["runs_download"] = {"path": "reports/roc.json"}


def _add_monitoring(world: World) -> None:
    ids = make_watched(world.project)
    world.ids |= {
        "monitors": ids["monitor"],
        "monitors_delete": ids["spare_monitor"],
        "evaluations": ids["evaluation"],
        "alerts": ids["alert"],
    }
    document = definition(endpoint="watched")
    world.bodies |= {
        "monitors_create": {"project": "world", "slug": "another", "definition": document},
        "monitors_update": {"definition": document},
        "monitors_evaluate": {"release": "champion"},
    }
    request = {"project": "world", "request_id": "seen-0"}
    start = {"kind": "dataset_version", "id": ids["traced_version"]}
    world.queries |= {
        "traces_retrieve": request,
        "traces_rows": request,
        "lineage_retrieve": start,
    }


def _make_things(project: Project, person: User) -> dict[str, str]:
    member = make_member(project, Role.VIEWER)
    gone = make_user()
    deactivate_person(gone, user=person)
    invitation, _ = invite_person(email="invited@example.com", name="Invited", user=person)
    mine, _ = create_token(person, name="mine", scopes=["read"], days=1, created_by=person)
    ours, _ = create_project_token(
        project, name="ours", role=Role.VIEWER, scopes=["read"], days=1, user=person
    )
    return {
        "backups": str(back_up_portal(person, include_lake=False).uuid),
        "invitations": str(invitation.user.uuid),
        "jobs": str(launch_check(project, target_slug="local", spec=CheckSpec(), user=person).pk),
        "members": str(Member.objects.get(user=member).uuid),
        "project-tokens": str(ours.uuid),
        "project-files": project.slug,
        "projects": project.slug,
        "document-schemas": "pipeline",
        "targets": "local",
        "tokens": str(mine.uuid),
        "users": str(member.uuid),
        "users_reactivate": str(gone.uuid),
    }


def _session_cookies(person: User) -> dict[str, str]:
    browser = Client()
    browser.force_login(person, BACKEND)
    return {
        "portolan_session": browser.cookies["portolan_session"].value,
        "portolan_csrf": CSRF,
    }


def answer_at_once(sender: Any, instance: Job, created: bool, **_: Any) -> None:
    """The worker, for questions: takes their steps where they are asked."""
    if created and instance.is_ephemeral:
        unfinished = Job.objects.filter(pk=instance.pk, finished_at=None)
        while unfinished.update(next_poll_at=timezone.now()):
            advance([str(instance.pk)])
