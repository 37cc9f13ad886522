"""Planning, applying and exporting a project as one document."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from apps.accounts.models import User
from apps.overview.projectfiles.parts import PARTS
from apps.overview.projectfiles.planning import Part, Step, dump_yaml, plan_part, text_diff
from apps.projects.models import Project, Role
from apps.projects.services import create_project, require_open, require_role, update_project
from runtime.documents.project import ProjectDocument, ProjectHead


@dataclass(frozen=True)
class Plan:
    """What applying would do, step by step, in the order in which it is done."""

    slug: str
    steps: list[Step]

    @property
    def changes_something(self) -> bool:
        return any(step.changes_something for step in self.steps)


def plan_project(document: ProjectDocument, *, user: User, removes: bool = False) -> Plan:
    """What applying the document would do: it is applied, and undone, so that whatever applying
    would refuse is refused here, in the same words."""
    try:
        with transaction.atomic():
            plan = apply_project(document, user=user, removes=removes)
            raise _Rehearsed
    except _Rehearsed:
        return plan


class _Rehearsed(Exception):
    """Takes back what was done only to see that it can be done."""


def _plan(document: ProjectDocument, *, user: User, removes: bool) -> Plan:
    """The steps, from rows as they are. Raise Http404 when the slug is another's project,
    PermissionDenied below contributor."""
    project = _find(document.project.slug, user)
    wanted = document.model_dump(mode="json", exclude_defaults=True)
    steps = [_plan_head(document.project, project)]
    for part in PARTS:
        steps += plan_part(part, wanted.get(part.name, {}), project, removes=removes)
    return Plan(document.project.slug, steps)


@transaction.atomic
def apply_project(document: ProjectDocument, *, user: User, removes: bool = False) -> Plan:
    """Make the project what the document says, all or nothing; launches nothing.

    Contributors of the project; for a project that is not there yet, anybody who may make one.
    Whoever applies must be allowed to do each step by hand. Errors name the section and slug.
    """
    plan = _plan(document, user=user, removes=removes)
    head = document.project
    project = Project.objects.filter(slug=head.slug).first()
    if project is None:
        project = create_project(
            name=head.name, slug=head.slug, description=head.description, user=user
        )
    require_open(project)
    if plan.steps[0].action == "change":
        update_project(project, name=head.name, description=head.description, user=user)
    by_noun = {part.noun: part for part in PARTS}
    for step in plan.steps[1:]:
        if step.action in ("create", "change"):
            _take(by_noun[step.noun], step, project, user)
    for step in reversed(plan.steps[1:]):
        if step.action == "remove":
            _take(by_noun[step.noun], step, project, user)
    return plan


def export_project(project: Project, *, user: User) -> dict[str, Any]:
    """The project as plain values that `apply_project` takes, here or elsewhere. Any member."""
    require_role(user, project, Role.VIEWER)
    head = ProjectHead(slug=project.slug, name=project.name, description=project.description)
    values: dict[str, Any] = {
        "portolan": 1,
        "project": head.model_dump(mode="json", exclude_defaults=True),
    }
    for part in PARTS:
        if current := part.current(project):
            values[part.name] = {slug: dict(each) for slug, each in current.items()}
    return values


def export_yaml(project: Project, *, user: User) -> str:
    return dump_yaml(export_project(project, user=user))


def _find(slug: str, user: User) -> Project | None:
    project = Project.objects.filter(slug=slug).first()
    if project is not None:
        require_role(user, project, Role.CONTRIBUTOR)
    return project


def _plan_head(head: ProjectHead, project: Project | None) -> Step:
    wanted = head.model_dump(mode="json", exclude_defaults=True)
    if project is None:
        return Step("create", "project", head.slug, text_diff(None, wanted), wanted)
    now = ProjectHead(slug=project.slug, name=project.name, description=project.description)
    current = now.model_dump(mode="json", exclude_defaults=True)
    if current == wanted:
        return Step("keep", "project", head.slug, "", wanted)
    return Step("change", "project", head.slug, text_diff(current, wanted), wanted)


def _take(part: Part, step: Step, project: Project, user: User) -> None:
    document: Mapping[str, Any] = step.document or {}
    try:
        if step.action == "create":
            part.create(project, step.slug, document, user)
        elif step.action == "change":
            part.change(project, step.slug, document, user)
        else:
            part.remove(project, step.slug, user)
    except ValidationError as error:
        raise _at(f"{part.name}.{step.slug}", error) from None


def _at(place: str, error: ValidationError) -> ValidationError:
    """The same faults, said where they stand in the file."""
    if not hasattr(error, "error_dict"):
        return ValidationError({place: error.messages})
    found: dict[str, list[str]] = {}
    for field, faults in error.message_dict.items():
        name = field.removeprefix("definition").strip(".")
        path = place if name in ("", "__all__") or field.startswith(place) else f"{place}.{name}"
        found.setdefault(path, []).extend(faults)
    return ValidationError(found)
