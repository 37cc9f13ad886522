"""Column lineage: where a column comes from, and what comes of it, hop by hop."""

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from django.db.models import Q
from django.http import Http404

from apps.accounts.models import User
from apps.overview.traces import reference_to
from apps.projects.models import Project
from apps.registry.models import ModelVersion
from apps.sources.models import ColumnEdge, DatasetVersion, Source

Direction = Literal["down", "up"]
MAX_HOPS = 20
MAX_EDGES = 2_000
AT_ONCE = 200


class End(NamedTuple):
    """A column of a thing. An empty column is the whole of it."""

    kind: str
    id: str
    column: str


@dataclass
class Walk:
    """What was found so far. `is_complete` False: there is more than is told."""

    edges: dict[tuple[End, End], None] = field(default_factory=dict)
    labels: dict[End, str] = field(default_factory=dict)
    is_complete: bool = True

    def add(self, source: End, target: End, from_label: str, to_label: str) -> bool:
        """Keep one hop, unless the walk is full."""
        if (source, target) in self.edges:
            return True
        if len(self.edges) >= MAX_EDGES:
            self.is_complete = False
            return False
        self.edges[source, target] = None
        self.labels.setdefault(source, from_label)
        self.labels.setdefault(target, to_label)
        return True


def walk_lineage(
    user: User,
    *,
    kind: str,
    id: uuid.UUID,  # noqa: A002
    column: str,
    direction: Direction,
) -> dict[str, Any]:
    """All columns that come of this one (down), or that it comes from (up): {"start", "nodes",
    "edges": [{"from", "to"}: places in nodes], "is_complete"}.

    Bounded to 20 hops and 2,000 edges, and to projects the user sees. Raise Http404 for a start
    the user does not see, or that has no such column.
    """
    start = End(kind, str(id), column)
    walk = Walk()
    walk.labels[start] = _label_of_start(user, start)
    ends, seen = {start}, {start}
    for _ in range(MAX_HOPS):
        found = {end for end in _step(user, walk, ends, direction) if end not in seen}
        seen |= found
        ends = found
        if not ends:
            break
    else:
        walk.is_complete = False
    return _told(walk, start)


def _label_of_start(user: User, start: End) -> str:
    if start.kind == "dataset_version":
        version = DatasetVersion.objects.visible_to(user).filter(uuid=start.id).first()
        if version and start.column in {"", *(str(c.get("name")) for c in version.columns)}:
            return str(version)
    elif start.kind == "model_version":
        made = ModelVersion.objects.visible_to(user).filter(uuid=start.id).first()
        if made and start.column in {"", *_inputs(made)}:
            return str(made)
    elif start.kind == "source":
        source = Source.objects.filter(project__in=Project.objects.visible_to(user), uuid=start.id)
        if one := source.first():
            return str(one)
    raise Http404


def _inputs(version: ModelVersion) -> set[str]:
    return {str(each.get("name")) for each in version.signature.get("inputs", [])}


def _step(user: User, walk: Walk, ends: set[End], direction: Direction) -> Iterator[End]:
    """One hop from each of the ends."""
    ordered = sorted(ends)
    for place in range(0, len(ordered), AT_ONCE):
        some = ordered[place : place + AT_ONCE]
        hops = [*_stored(user, some, direction), *_into_models(user, some, direction)]
        for source, target, from_label, to_label in hops:
            if not walk.add(source, target, from_label, to_label):
                return
            yield target if direction == "down" else source


Hop = tuple[End, End, str, str]


def _stored(user: User, ends: Iterable[End], direction: Direction) -> Iterator[Hop]:
    """Hops written when pipelines were saved and data was ingested."""
    side = "from" if direction == "down" else "to"
    asked = Q()
    for end in ends:
        one = {f"{side}_kind": end.kind, f"{side}_id": end.id}
        # The whole of a thing goes wherever any of its columns goes.
        asked |= Q(**one) if end.column == "" else Q(**one, **{f"{side}_column": end.column})
    rows = ColumnEdge.objects.filter(asked, project__in=Project.objects.visible_to(user))
    for row in rows.order_by("pk")[: MAX_EDGES + 1]:
        source = End(row.from_kind, str(row.from_id), row.from_column)
        target = End(row.to_kind, str(row.to_id), row.to_column)
        yield source, target, row.from_label, row.to_label


def _into_models(user: User, ends: Iterable[End], direction: Direction) -> Iterator[Hop]:
    """Hops between a run's dataset version and the inputs of models registered from it: they are
    in the models' signatures."""
    kind = "dataset_version" if direction == "down" else "model_version"
    by_id: dict[str, set[str]] = {}
    for end in ends:
        if end.kind == kind:
            by_id.setdefault(end.id, set()).add(end.column)
    if not by_id:
        return
    path = "run__dataset_version__uuid" if direction == "down" else "uuid"
    made = ModelVersion.objects.visible_to(user).filter(**{f"{path}__in": list(by_id)})
    related = made.select_related("model", "run__dataset_version__dataset").order_by("pk")
    for version in related[:MAX_EDGES]:
        data = version.run.dataset_version
        asked = by_id[str(data.uuid if direction == "down" else version.uuid)]
        for name in sorted(_inputs(version)):
            if name in asked or "" in asked:
                source = End("dataset_version", str(data.uuid), name)
                target = End("model_version", str(version.uuid), name)
                yield source, target, str(data), str(version)


def _told(walk: Walk, start: End) -> dict[str, Any]:
    places = {end: place for place, end in enumerate(walk.labels)}
    nodes = [
        reference_to(end.kind, end.id, label, column=end.column)
        for end, label in walk.labels.items()
    ]
    return {
        "start": places[start],
        "nodes": nodes,
        "edges": [{"from": places[a], "to": places[b]} for a, b in walk.edges],
        "is_complete": walk.is_complete,
    }
