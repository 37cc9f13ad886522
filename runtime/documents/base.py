"""What every document is made of: strictness, errors by path, and the list of its fields."""

import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from types import UnionType
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

D = TypeVar("D", bound="Document")
MAX_ERRORS = 20
# The fields that tell the variants of a union apart.
TAGS = ("operation", "kind", "rule", "by")
# What a document's own check says of one of its fields: “keys: a column is named twice.”
NAMED = re.compile(r"([a-z][a-z0-9_]*): (.+)", re.DOTALL)


class Document(BaseModel):
    """A definition, or a part of one. Unknown keys are errors; values are not guessed at."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class DocumentError(ValueError):
    """A document does not hold. `errors` maps a dotted path, such as `steps.clean.where`, to what
    is wrong there and what to do; "" is the document as a whole."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{path}: {text}" for path, text in errors.items()))
        self.errors = dict(errors)


def validate_document(model: type[D], data: Any) -> D:
    """The document, checked. Raise DocumentError with every fault found, by path."""
    if not isinstance(data, Mapping):
        raise DocumentError({"": "This must be an object with named fields."})
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise DocumentError(_by_path(error, data)) from None


def _by_path(error: ValidationError, data: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in error.errors(include_url=False)[:MAX_ERRORS]:
        names_field = each["type"] in ("missing", "extra_forbidden")
        path = ".".join(_path(each["loc"], data, names_field=names_field))
        text = _plainly(each["type"], each["msg"], each.get("ctx") or {})
        if each["type"] == "value_error" and (named := NAMED.fullmatch(text)):
            path, text = f"{path}.{named[1]}" if path else named[1], named[2]
        found.setdefault(path, text)
    return found


def _path(loc: Sequence[int | str], data: Any, *, names_field: bool) -> Iterator[str]:
    """The way through what was sent. pydantic's own also names the variant of a union that it
    tried, which is nowhere in the data; `names_field` says that the last part is none of these."""
    here, after_tag = data, False
    for place, part in enumerate(loc):
        is_field = names_field and place == len(loc) - 1
        if isinstance(here, Mapping):
            if not is_field and not after_tag and any(here.get(tag) == part for tag in TAGS):
                after_tag = True
                continue
            here = here.get(part)
        elif isinstance(here, list | tuple) and isinstance(part, int) and part < len(here):
            here = here[part]
        else:
            return
        after_tag = False
        yield str(part)


def _plainly(kind: str, text: str, context: Mapping[str, Any]) -> str:
    """pydantic's sentence in the house's words, where its own would puzzle."""
    plain = {
        "extra_forbidden": "There is no such field. Check its spelling, or leave it out.",
        "missing": "This is needed. Add it.",
        "union_tag_not_found": "Say which kind it is.",
    }
    if kind == "value_error":
        return str(context.get("error", text))
    if kind in ("literal_error", "enum"):
        return f"Use one of {context.get('expected', '')}."
    if kind == "too_short":
        return f"Give at least {context.get('min_length', 1)}."
    if kind == "union_tag_invalid":
        return f"There is no such kind. Use one of {context.get('expected_tags', '')}."
    return plain.get(kind, f"{text}.")


def json_schema(model: type[Document]) -> dict[str, Any]:
    """The document's JSON Schema (2020-12)."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema()}


def field_paths(model: type[Document], prefix: str = "definition") -> frozenset[str]:
    """Every field a document may hold, dotted: `definition.steps[].filter.where`.

    Lists and mappings add `[]`; the variants of a tagged union add the tag's value. Engines
    declare what they do with each of these.
    """
    return frozenset(_paths(model, prefix))


def _paths(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, info in model.model_fields.items():
        path = f"{prefix}.{info.alias or name}"
        inner = list(_inner(info.annotation, path, info))
        yield path
        for part, part_path in inner:
            yield from _paths(part, part_path)


def _inner(
    annotation: Any, path: str, info: FieldInfo | None = None
) -> Iterator[tuple[type[BaseModel], str]]:
    """The document types within a field's type, with the path each of them has."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        extra = next((each for each in arguments[1:] if isinstance(each, FieldInfo)), info)
        yield from _inner(arguments[0], path, extra)
    elif origin in (typing.Union, UnionType):
        tag = info.discriminator if info else None
        for each in arguments:
            below = f"{path}.{_tag_of(each, tag)}" if isinstance(tag, str) else path
            yield from _inner(each, below)
    elif origin is not None and arguments:
        yield from _inner(arguments[-1] if origin is dict else arguments[0], f"{path}[]")
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, path


def _tag_of(part: Any, tag: str) -> str:
    bare = typing.get_args(part)[0] if typing.get_origin(part) is typing.Annotated else part
    return str(typing.get_args(bare.model_fields[tag].annotation)[0])
