"""Make a project what a file says."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.http import Http404

from apps.accounts.services import find_actor
from apps.core.errors import Conflict
from apps.overview.projectfiles.reading import read_project
from apps.overview.projectfiles.services import Plan, apply_project, plan_project

SIGNS = {"create": "+", "change": "~", "remove": "-", "keep": "=", "extra": "?"}


class Command(BaseCommand):
    help = "Make or change a project from a YAML file, and print what is done. Launches nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help="the project file; - for standard input")
        parser.add_argument("--dry-run", action="store_true", help="only print the plan")
        parser.add_argument(
            "--remove", action="store_true", help="also remove what the file does not name"
        )
        parser.add_argument("--as", dest="email", default="", help="who does it: an e-mail address")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            text = sys.stdin.read() if options["file"] == "-" else _read(options["file"])
            user = find_actor(options["email"])
            does = plan_project if options["dry_run"] else apply_project
            plan = does(read_project(text), user=user, removes=options["remove"])
        except ValidationError as error:
            raise CommandError(_lines(error)) from None
        except Http404:
            raise CommandError(
                "A project of this slug is somebody else's. Choose another."
            ) from None
        except (PermissionDenied, Conflict) as error:
            raise CommandError(getattr(error, "message", str(error))) from None
        self._print(plan, is_dry=options["dry_run"])

    def _print(self, plan: Plan, *, is_dry: bool) -> None:
        for step in plan.steps:
            self.stdout.write(f"{SIGNS[step.action]} {step.noun} {step.slug}: {step.action}")
            if step.action in ("change", "remove"):
                self.stdout.write("\n".join(f"    {line}" for line in step.diff.splitlines()))
        if not plan.changes_something:
            self.stdout.write("Nothing to do: the project is as the file says.")
        elif is_dry:
            self.stdout.write("This was a dry run. Leave --dry-run out to do it.")


def _read(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{name} cannot be read: {error}.") from None


def _lines(error: ValidationError) -> str:
    return "\n".join(f"{path}: {' '.join(texts)}" for path, texts in error.message_dict.items())
