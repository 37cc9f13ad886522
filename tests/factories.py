"""Rows for tests, made the short way: only what a test does not care about is filled in."""

from itertools import count
from typing import Any

from apps.accounts.models import User
from apps.projects.models import Member, Project, Role

_numbers = count(1)
PASSWORD = "correct horse battery staple"


def make_user(**fields: Any) -> User:
    number = next(_numbers)
    fields = {"email": f"person{number}@example.com", "name": f"Person {number}", **fields}
    password = fields.pop("password", None)
    user = User(**fields)
    user.set_password(password)
    user.save()
    return user


def make_project(**fields: Any) -> Project:
    number = next(_numbers)
    named = {"slug": f"project-{number}", "name": f"Project {number}"}
    return Project.objects.create(**{**named, **fields})


def make_member(project: Project, role: Role, **fields: Any) -> User:
    """A new person with `role` in `project`."""
    user = make_user(**fields)
    Member.objects.create(project=project, user=user, role=role)
    return user
