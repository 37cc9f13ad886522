"""A whole project as one document: what `manage.py apply` takes and `manage.py export` gives.

Things name each other by slug, so a file made from one project makes the same one elsewhere. It
holds definitions only: no rows, no versions, no secrets.
"""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from runtime.documents.base import Document
from runtime.documents.endpoint import EndpointDocument
from runtime.documents.model import PolicyDocument
from runtime.documents.monitor import MonitorDocument
from runtime.documents.pipeline import PipelineDocument, WriteStep
from runtime.documents.schedule import ScheduleDocument
from runtime.documents.source import SourceDocument
from runtime.documents.training import TrainingDocument

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=48)]
DESCRIPTION = Field(default="", max_length=2000, description="What it is for, for people.")


class ProjectHead(Document):
    """The project itself."""

    slug: Slug = Field(description="For addresses and files. It stays for good.")
    name: str = Field(min_length=1, max_length=80, description="For people.")
    description: str = DESCRIPTION


class SourcePart(SourceDocument):
    """A source. Its secret is not part of it: give it in the portal, or over REST."""

    description: str = DESCRIPTION


class DatasetPart(Document):
    """A dataset: filled from a source, or by the pipelines that write it."""

    source: Slug | None = Field(
        default=None, description="The source it is read from. Left out: pipelines write it."
    )
    description: str = DESCRIPTION


class PipelinePart(PipelineDocument):
    """A pipeline. Changing its steps makes a new version."""

    description: str = DESCRIPTION


class ExperimentPart(Document):
    """An experiment, and the trainings that belong to it."""

    description: str = DESCRIPTION
    specs: dict[str, TrainingDocument] = Field(
        default_factory=dict, max_length=200, description="Trainings by name."
    )


class ModelPart(Document):
    """A model, and what its versions need to be approved."""

    description: str = DESCRIPTION
    policy: PolicyDocument = Field(
        default_factory=PolicyDocument, description="What an approval needs."
    )


class EndpointPart(EndpointDocument):
    """An endpoint. What is released on it is not part of a project file."""

    description: str = DESCRIPTION


class ProjectDocument(Document):
    """A project file."""

    portolan: Literal[1] = Field(description="The version of this format.")
    project: ProjectHead = Field(description="The project itself.")
    sources: dict[Slug, SourcePart] = Field(default_factory=dict, description="By slug.")
    datasets: dict[Slug, DatasetPart] = Field(default_factory=dict, description="By slug.")
    pipelines: dict[Slug, PipelinePart] = Field(default_factory=dict, description="By slug.")
    experiments: dict[Slug, ExperimentPart] = Field(default_factory=dict, description="By slug.")
    models: dict[Slug, ModelPart] = Field(default_factory=dict, description="By slug.")
    endpoints: dict[Slug, EndpointPart] = Field(default_factory=dict, description="By slug.")
    monitors: dict[Slug, MonitorDocument] = Field(default_factory=dict, description="By slug.")
    schedules: dict[Slug, ScheduleDocument] = Field(default_factory=dict, description="By slug.")

    @model_validator(mode="after")
    def _hangs_together(self) -> "ProjectDocument":
        written = {
            step.dataset
            for pipeline in self.pipelines.values()
            for step in pipeline.steps.values()
            if isinstance(step, WriteStep)
        }
        known = {
            "source": self.sources.keys(),
            "dataset": self.datasets.keys() | written,
            "model": self.models.keys(),
            "endpoint": self.endpoints.keys(),
            "pipeline": self.pipelines.keys(),
            "ingest": self.datasets.keys(),
            "monitor": self.monitors.keys(),
        }
        for place, kind, slug in self._references():
            if slug not in known[kind]:
                raise ValueError(
                    f"{place} names the {kind} “{slug}”, which is not in this file. Add it, or "
                    "correct the name."
                )
        return self

    def _references(self) -> list[tuple[str, str, str]]:
        """(where, kind, slug) for everything that names something else."""
        found = [
            (f"datasets.{slug}", "source", part.source)
            for slug, part in self.datasets.items()
            if part.source is not None
        ]
        for slug, pipeline in self.pipelines.items():
            for name, step in pipeline.steps.items():
                if step.operation == "read":
                    found.append((f"pipelines.{slug}.steps.{name}", "dataset", step.dataset))
        for slug, experiment in self.experiments.items():
            for name, spec in experiment.specs.items():
                found.append((f"experiments.{slug}.specs.{name}", "dataset", spec.dataset))
        found += [(f"endpoints.{key}", "model", each.model) for key, each in self.endpoints.items()]
        found += [
            (f"monitors.{key}", "endpoint", each.endpoint) for key, each in self.monitors.items()
        ]
        found += [
            (f"schedules.{key}", each.subject.kind, each.subject.name)
            for key, each in self.schedules.items()
        ]
        return found
