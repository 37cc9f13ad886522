"""YAML to a checked `ProjectDocument`. What comes in is hostile until it is one."""

from collections.abc import Hashable
from typing import Any

import yaml
from django.core.exceptions import ValidationError

from runtime.documents.base import DocumentError, validate_document
from runtime.documents.project import ProjectDocument

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 40


class _Loader(yaml.SafeLoader):
    """Plain values only: no tags of Python's, no aliases (a few lines of them can unfold to
    gigabytes), no key said twice (the first would be dropped silently)."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(
                problem="aliases (*name) are not taken; write the value out",
                problem_mark=event.start_mark,
            )
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem=f"nested more than {MAX_DEPTH} deep")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise _marked(key_node, f"the key {key!r} is not a text; put it in quotes")
            if key in seen:
                raise _marked(key_node, f"the key “{key}” stands here twice")
            seen.add(key)
        return super().construct_mapping(node, deep)


def _marked(node: yaml.Node, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


def parse_yaml(text: str) -> Any:
    """The values in a YAML text. Raise ValidationError on `document`, with line and column."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise ValidationError({"document": "A project file is at most 1 MB. Split the project."})
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506  (a safe loader, made stricter)
    except yaml.MarkedYAMLError as error:
        raise ValidationError({"document": _where(error)}) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ValidationError({"document": f"This is not YAML: {error}."}) from None


def _where(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    place = f"Line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return f"{place}{error.problem or error.context}."


def read_project(text: str) -> ProjectDocument:
    """The project that a YAML (or JSON) text defines. Raise ValidationError by dotted path."""
    return check_project(parse_yaml(text))


def check_project(data: Any) -> ProjectDocument:
    """As `read_project`, for values that have been parsed already."""
    try:
        return validate_document(ProjectDocument, data)
    except DocumentError as error:
        raise ValidationError(
            {path or "document": text for path, text in error.errors.items()}
        ) from None
