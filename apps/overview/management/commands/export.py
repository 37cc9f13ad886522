"""Print a project as a file."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.http import Http404

from apps.accounts.services import find_actor
from apps.overview.projectfiles.services import export_yaml
from apps.projects.services import get_project


class Command(BaseCommand):
    help = "Print a project's definitions as YAML that `apply` takes: no rows, no secrets."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project", help="the project's slug")
        parser.add_argument("--as", dest="email", default="", help="who does it: an e-mail address")

    def handle(self, *args: Any, **options: Any) -> None:
        user = find_actor(options["email"])
        try:
            project = get_project(user, options["project"])
        except Http404:
            raise CommandError(f"{user} sees no project “{options['project']}”.") from None
        self.stdout.write(export_yaml(project, user=user), ending="")
