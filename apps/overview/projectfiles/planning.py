"""What applying a project file would do: computed from rows, without changing any."""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from apps.accounts.models import User
from apps.projects.models import Project

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Part:
    """One section of a project file, and how its things are read and changed.

    `current` gives slug → document as it is now; the others are the stage's own services.
    """

    name: str
    noun: str
    current: Callable[[Project], dict[str, Values]]
    create: Callable[[Project, str, Values, User], None]
    change: Callable[[Project, str, Values, User], None]
    remove: Callable[[Project, str, User], None]


@dataclass(frozen=True)
class Step:
    """One thing to do. `action` is create, change, remove, keep (as it is) or extra (here, but not
    in the file: removed only when asked for). `diff` is a unified diff of YAML, for people."""

    action: str
    noun: str
    slug: str
    diff: str = ""
    document: Values | None = None

    @property
    def changes_something(self) -> bool:
        return self.action in ("create", "change", "remove")


def plan_part(part: Part, wanted: Values, project: Project | None, *, removes: bool) -> list[Step]:
    """The steps for one section; creations and changes first, in the file's order."""
    current = part.current(project) if project else {}
    steps = [_compare(part, slug, document, current.get(slug)) for slug, document in wanted.items()]
    for slug in current.keys() - wanted.keys():
        action = "remove" if removes else "extra"
        diff = text_diff(current[slug], None) if removes else ""
        steps.append(Step(action, part.noun, slug, diff))
    return steps


def _compare(part: Part, slug: str, wanted: Values, current: Values | None) -> Step:
    if current is None:
        return Step("create", part.noun, slug, text_diff(None, wanted), wanted)
    if current == wanted:
        return Step("keep", part.noun, slug, "", wanted)
    return Step("change", part.noun, slug, text_diff(current, wanted), wanted)


def text_diff(before: Values | None, after: Values | None) -> str:
    """A unified diff of two documents as YAML; None is "not there"."""
    lines = [dump_yaml(each).splitlines() if each is not None else [] for each in (before, after)]
    return "\n".join(difflib.unified_diff(lines[0], lines[1], "now", "then", lineterm="", n=2))


def dump_yaml(value: Any) -> str:
    """YAML as people write it: block style, the order kept, no aliases."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=96)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        # Lists indented under their key, as people write them.
        return super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
