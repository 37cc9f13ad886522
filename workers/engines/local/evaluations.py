"""Looking at captured requests: evaluations of monitors, and the search for one request."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from runtime.confine import landlock_abi, system_paths
from workers.engines.base import EngineContext, EngineError
from workers.engines.local.kinds import refuse_unconfined
from workers.engines.local.processes import ROOT, Order, ProcessJobs, write_spec
from workers.engines.local.questions import Question, Questions

ENTRY = ROOT / "runtime" / "monitoring" / "__main__.py"


def captures_folder(context: EngineContext, endpoint: str) -> Path:
    """Where an endpoint's captured requests lie. Raise EngineError for what is no uuid."""
    return context.var_dir / "captures" / _as_uuid(endpoint)


def _as_uuid(text: Any) -> str:
    try:
        return str(UUID(str(text)))
    except ValueError:
        raise EngineError("The job names an endpoint or release that is no uuid.") from None


class EvaluateJobs(ProcessJobs):
    """Evaluations: confined, in the serving environment. They read one endpoint's captures and
    its model versions' references, and write nothing but their outputs."""

    def order(self, folder: Path, spec: Mapping[str, Any]) -> Order:
        refuse_unconfined(self.context)
        environment = self.context.environments_dir.absolute() / "serve"
        python = environment / "bin" / "python"
        if not python.exists():
            raise EngineError(
                "The serving environment is not set up here. Run `make environments`, then launch "
                "it again."
            )
        captures = captures_folder(self.context, spec["endpoint"])
        releases = [self._release(captures, each) for each in spec["releases"]]
        write_spec(folder, {**spec, "releases": releases})
        prefixes = [str(environment), str(python.resolve().parent.parent)]
        return Order(
            argv=[str(python), "-I", str(ENTRY)],
            readable=[
                *system_paths(prefixes, has_network=False),
                str(ROOT / "runtime"),
                str(captures),
                *(each["reference"] for each in releases),
            ],
            environment={"OPENBLAS_NUM_THREADS": "1"},
            is_confined=landlock_abi() > 0,
            restarts=2,
        )

    def _release(self, captures: Path, release: Mapping[str, Any]) -> dict[str, str]:
        version = self.context.var_dir / "models" / _as_uuid(release["version"])
        return {
            "slug": str(release["slug"]),
            "captures": str(captures / _as_uuid(release["uuid"])),
            "reference": str(version / "reference.json"),
        }


class FindRequests(Questions):
    """Finds one captured request of some endpoints by its id."""

    name = "find_request"

    def question(self, spec: Mapping[str, Any]) -> Question:
        folders = [str(captures_folder(self.context, each)) for each in spec["endpoints"]]
        body = {"request_id": str(spec["request_id"]), "folders": folders}
        return Question(body, readable=folders)
