"""One of everything, so that REST's addresses have something to point at."""

from dataclasses import dataclass, field
from typing import Any

from apps.accounts.models import User
from apps.accounts.scopes import SCOPES
from apps.accounts.tokens import create_token
from apps.jobs.services import launch_check
from apps.overview.services import back_up_portal
from apps.projects.models import Project, Role
from runtime.definitions import CheckSpec
from tests.factories import make_member, make_project


@dataclass
class World:
    """A site admin who owns a project, and what lies under each address.

    `ids`: by resource and name in the address. `bodies`: a good body for each operation that
    takes one which no generator would guess.
    """

    person: User
    project: Project
    headers: dict[str, str]
    ids: dict[tuple[str, str], str] = field(default_factory=dict)
    bodies: dict[str, Any] = field(default_factory=dict)

    def path_parameters(self, path: str, names: list[str]) -> dict[str, str]:
        """Real values for the names in an address such as `/api/v1/jobs/{id}/`."""
        resource = path.removeprefix("/api/v1/").split("/")[0]
        return {name: self.ids[resource, name] for name in names}


def make_world() -> World:
    project = make_project(slug="world")
    person = make_member(project, Role.OWNER, is_site_admin=True)
    _, text = create_token(person, name="all", scopes=SCOPES, days=1, created_by=person)
    world = World(person, project, {"Authorization": f"Bearer {text}"})
    job = launch_check(project, target_slug="local", spec=CheckSpec(), user=person)
    backup = back_up_portal(person, include_lake=False)
    world.ids = {
        ("jobs", "id"): str(job.pk),
        ("backups", "uuid"): str(backup.uuid),
        ("targets", "slug"): "local",
    }
    world.bodies = {"target_checks_create": {"project": "world"}}
    return world
