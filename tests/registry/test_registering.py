"""From a finished run to a package, in a real confined process of the training environment."""

import hashlib
import json
import os
from pathlib import Path

import pytest
from django.conf import settings
from django.core.exceptions import ValidationError

from apps.core.errors import Conflict
from apps.jobs.models import Job, State
from apps.projects.models import Project, Role
from apps.registry.models import ModelVersion
from apps.registry.services import create_model, finish_registration, register_version
from apps.sources.models import ColumnEdge
from tests.experiments.making import finish as finish_run
from tests.experiments.making import make_dataset, make_run, make_table
from tests.factories import make_member, make_project
from tests.registry.rows import make_run_row, make_trained, register

pytestmark = [pytest.mark.django_db, pytest.mark.process]


@pytest.fixture
def project() -> Project:
    return make_project()


def files_of(version: ModelVersion) -> dict[str, str]:
    """The package as it lies there: paths and SHA-256."""
    return {
        str(path.relative_to(version.path)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in version.path.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize(
    "algorithm", ["logistic", "random-forest", "hist-gradient-boosting", "lightgbm"]
)
def test_every_algorithm_of_a_real_run_becomes_onnx(project: Project, algorithm: str) -> None:
    owner = make_member(project, Role.OWNER)
    make_dataset(project, make_table(6_000))
    run = finish_run(make_run(project, owner, algorithm=algorithm))
    assert run.job.state == State.SUCCEEDED, run.job.message
    version = register(project, owner, run)
    assert version.job.state == State.SUCCEEDED, version.job.message
    assert version.engine == "onnx", version.conversion
    assert version.conversion["rows"] >= 1_000
    assert version.conversion["labels_equal"]
    assert version.conversion["max_abs_difference"] <= 1e-5


def test_package_is_whole_and_its_hashes_hold(project: Project) -> None:
    owner = make_member(project, Role.OWNER)
    version = register(project, owner, make_trained(project, owner, "boosting"))
    there = files_of(version)
    listed = json.loads((version.path / "files.json").read_text())
    assert there.pop("files.json")
    assert there == listed == version.files
    assert {"package.json", "model.onnx", "native/native.pkl", "reference.json"} == set(there)
    package = json.loads((version.path / "package.json").read_text())
    assert package["version"] == str(version.uuid)
    assert package["engine"] == version.engine == "onnx"
    assert package["signature"] == version.signature
    assert package["outputs"] == {"label": "label", "probabilities": "probabilities"}
    assert package["packages"]["numpy"]
    assert [each.name for each in version.path.parent.glob(f"{version.uuid}*")] == [
        str(version.uuid)
    ]


def test_columns_lead_to_the_models_features(project: Project) -> None:
    owner = make_member(project, Role.OWNER)
    version = register(project, owner, make_trained(project, owner, "logistic"))
    edges = ColumnEdge.objects.filter(to_kind="model_version", to_id=version.uuid)
    assert {(each.from_column, each.to_column) for each in edges} == {
        (name, name) for name in ("spend", "visits", "age")
    }
    assert {each.from_id for each in edges} == {version.run.dataset_version.uuid}


@pytest.mark.parametrize(
    ("algorithm", "rows", "why"),
    [
        ("prior", 1_500, "could not be converted"),
        ("wrong", 1_500, "another label"),
        ("forest", 900, "Only 900 validation rows"),
    ],
)
def test_without_agreeing_onnx_the_original_serves_and_why_is_kept(
    project: Project, algorithm: str, rows: int, why: str
) -> None:
    owner = make_member(project, Role.OWNER)
    version = register(project, owner, make_trained(project, owner, algorithm, rows))
    assert version.job.state == State.SUCCEEDED, version.job.message
    assert version.engine == "native"
    assert why in version.conversion["reason"]
    assert "model.onnx" not in version.files
    assert "native/native.pkl" in version.files
    package = json.loads((version.path / "package.json").read_text())
    assert package["conversion"] == version.conversion


def test_changed_artifact_is_refused_by_name(project: Project) -> None:
    owner = make_member(project, Role.OWNER)
    run = make_trained(project, owner, "logistic")
    with (run.artifact_path / "model" / "native.pkl").open("ab") as file:
        file.write(b"more")
    version = register(project, owner, run)
    assert version.job.state == State.FAILED
    assert "model/native.pkl is not the one the run left" in version.job.message
    assert version.engine == ""
    assert not list(version.path.parent.glob(f"{version.uuid}*"))


def test_pickle_that_reaches_out_is_confined(project: Project, tmp_path: Path) -> None:
    owner = make_member(project, Role.OWNER)
    run = make_trained(project, owner, "logistic")
    path = run.artifact_path / "model" / "native.pkl"
    taken = Path(settings.VAR_DIR) / "taken"
    path.write_bytes(f"cos\nsystem\n(Vcp /etc/passwd {taken}; echo > {taken}\ntR.".encode())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    run.artifacts.filter(path="model/native.pkl").update(sha256=digest)
    version = register(project, owner, run)
    assert version.engine in ("", "native")
    assert not taken.exists()


def test_killed_conversion_starts_again_and_comes_out_the_same(project: Project) -> None:
    owner = make_member(project, Role.OWNER)
    model = create_model(project, slug="churn", user=owner)
    run = make_trained(project, owner, "forest")
    version = register_version(model, run=run, user=owner)
    kill_first_process(version)
    from tests.registry.rows import finish

    version = finish(version)
    assert version.job.state == State.SUCCEEDED, version.job.message
    assert version.files == {k: v for k, v in files_of(version).items() if k != "files.json"}


def kill_first_process(version: ModelVersion) -> None:
    from runtime.processes import marked
    from tests.servers import wait_until
    from workers.engines.local.processes import MARK
    from workers.tasks import advance

    advance([str(version.job_id)])
    folder = Path(settings.VAR_DIR, "jobs", str(version.job_id))

    def child() -> int:
        found = [each.pid for each in marked(MARK, str(version.job_id))]
        return found[0] if found else 0

    pid = wait_until(child, what="the process")
    os.kill(pid, 9)
    wait_until((folder / "restarts.json").exists, what="the restart")


def test_run_must_have_succeeded_and_be_of_the_project(project: Project) -> None:
    owner = make_member(project, Role.OWNER)
    model = create_model(project, slug="churn", user=owner)
    foreign = make_run_row(make_project())
    with pytest.raises(ValidationError, match="another project"):
        register_version(model, run=foreign, user=owner)
    unfinished = make_run_row(project)
    Job.objects.filter(pk=unfinished.job_id).update(state=State.FAILED)
    unfinished.job.refresh_from_db()
    with pytest.raises(Conflict, match="has not succeeded"):
        register_version(model, run=unfinished, user=owner)
    empty = make_run_row(project)
    empty.artifacts.all().delete()
    with pytest.raises(ValidationError, match="left no model"):
        register_version(model, run=empty, user=owner)
    assert not model.versions.exists()


@pytest.mark.parametrize(
    "said", [{}, {"engine": "shell"}, {"engine": "onnx", "conversion": {}, "files": {"a": 1}}]
)
def test_answer_of_another_shape_makes_no_version_ready(
    project: Project, said: dict[str, object]
) -> None:
    owner = make_member(project, Role.OWNER)
    model = create_model(project, slug="churn", user=owner)
    version = register_version(model, run=make_run_row(project), user=owner)
    Job.objects.filter(pk=version.job_id).update(state=State.SUCCEEDED, outputs=said)
    finish_registration(Job.objects.get(pk=version.job_id))
    version.refresh_from_db()
    assert version.engine == ""
    assert not version.conversion["is_accepted"]
