"""Definitions that do not hold, each refused by the path of what is wrong, with nothing kept."""

import json
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.test import Client

from apps.accounts.models import User
from apps.events.models import Event
from apps.pipelines.definitions import add_version
from apps.pipelines.models import Pipeline, PipelineVersion
from apps.projects.models import Project, Role
from tests.factories import make_member, make_project
from tests.pipelines.making import DEFINITION, READ, make_pipeline, make_tables, steps

pytestmark = pytest.mark.django_db
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


@pytest.fixture
def project() -> Project:
    project = make_project()
    make_tables(project)
    return project


@pytest.fixture
def user(project: Project) -> User:
    return make_member(project, Role.CONTRIBUTOR)


def sql(query: str) -> dict[str, Any]:
    return steps(mine={"operation": "sql", "inputs": ["sales"], "query": query})


def derive(expression: str) -> dict[str, Any]:
    return steps(more={"operation": "derive", "input": "sales", "columns": {"x": expression}})


def cycle() -> dict[str, Any]:
    a = {"operation": "filter", "input": "b", "where": "true"}
    b = {"operation": "filter", "input": "a", "where": "true"}
    return {"steps": {"a": a, "b": b}}


WRONG = [
    (cycle(), "steps", "`a` → `b` → `a`"),
    (steps(a={"operation": "select", "input": "sale"}), "steps.a", "Did you mean `sales`?"),
    (
        steps(a={"operation": "select", "input": "save"}),
        "steps.a",
        "writes and gives no rows on",
    ),
    (
        steps(a={"operation": "select", "input": "sales", "column": ["week"]}),
        "steps.a.column",
        "There is no such field",
    ),
    (steps(a={"operation": "explode", "input": "sales"}), "steps.a", "There is no such kind"),
    ({"steps": {}}, "steps", "at least 1"),
    ({"steps": {"s": READ}, "extra": 1}, "extra", "There is no such field"),
    (
        steps(a={"operation": "filter", "input": "sales", "where": "spnd > 1"}),
        "steps.a.where",
        "no column `spnd`. Did you mean `spend`? (position 1)",
    ),
    (
        steps(a={"operation": "cast", "input": "sales", "columns": {"weeks": "text"}}),
        "steps.a.columns",
        "Did you mean `week`?",
    ),
    (
        steps(a={"operation": "cast", "input": "sales", "columns": {"week": "uint8"}}),
        "steps.a.columns.week",
        "'integer'",
    ),
    (derive("spend +"), "steps.more.columns.x", "cannot be read as SQL"),
    (derive("spend, week"), "steps.more.columns.x", "not one expression"),
    (derive("spend + $most"), "steps.more.columns.x", "no parameter `$most`"),
    (derive("(select 1)"), "steps.more.columns.x", "sees only its own row"),
    (derive("1); drop table sales; --"), "steps.more.columns.x", "cannot be read"),
    (derive("read_text('/etc/passwd')"), "steps.more.columns.x", "reaches beyond"),
    (sql("select 1; select 2"), "steps.mine.query", "one statement"),
    (sql("copy sales to '/tmp/x'"), "steps.mine.query", "not COPY"),
    (sql("attach '/tmp/x'"), "steps.mine.query", "not ATTACH"),
    (sql("install httpfs"), "steps.mine.query", "not INSTALL"),
    (sql("load httpfs"), "steps.mine.query", "not LOAD"),
    (sql("pragma database_list"), "steps.mine.query", "not PRAGMA"),
    (sql("set threads = 9"), "steps.mine.query", "not SET"),
    (sql("create table x as select 1"), "steps.mine.query", "not CREATE"),
    (sql("select * from read_text('/etc/passwd')"), "steps.mine.query", "`read_text`"),
    (sql("select * from '/etc/passwd'"), "steps.mine.query", "no input `/etc/passwd`"),
    (sql("select * from delta_scan('https://x/y')"), "steps.mine.query", "`delta_scan`"),
    (sql("select * from products"), "steps.mine.query", "no input `products`"),
    (sql("select * from duckdb_settings()"), "steps.mine.query", "`duckdb_settings`"),
    (sql("select * from main.sales"), "steps.mine.query", "not an input"),
    (sql("select * into x from sales"), "steps.mine.query", "writes"),
]


@pytest.mark.parametrize(("definition", "path", "message"), WRONG)
def test_wrong_definition_is_refused_by_path(
    project: Project, user: User, definition: Any, path: str, message: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        make_pipeline(project, user, definition)
    told = refused.value.message_dict
    assert list(told) == [f"definition.{path}"]
    assert message in told[f"definition.{path}"][0]
    assert not Pipeline.objects.filter(project=project).exists()


def test_every_fault_of_a_definition_is_told_over_rest(
    project: Project, user: User, client: Client
) -> None:
    client.force_login(user, backend=BACKEND)
    definition = derive("spnd + 1")
    definition["steps"]["sieve"] = {"operation": "filter", "input": "sales", "where": "wek = 1"}
    body = json.dumps({"project": project.slug, "slug": "wrong", "definition": definition})
    said = client.post("/api/v1/pipelines/", body, content_type="application/json")
    assert said.status_code == 400
    assert said.headers["Content-Type"] == "application/problem+json"
    fields = said.content.decode()
    assert "definition.steps.more.columns.x" in fields
    assert "definition.steps.sieve.where" in fields


def test_same_definition_makes_no_second_version(project: Project, user: User) -> None:
    pipeline = make_pipeline(project, user)
    first = pipeline.versions.get()
    assert add_version(pipeline, definition=DEFINITION, user=user) == first
    second = add_version(pipeline, definition=steps(), user=user)
    assert (second.number, PipelineVersion.objects.count()) == (2, 2)
    assert Event.objects.filter(verb="pipeline.version_added").count() == 2


def test_order_of_steps_and_columns_is_kept(project: Project, user: User) -> None:
    columns = {"zz": "1", "a": "2", "mmm": "3"}
    more = {"operation": "derive", "input": "sales", "columns": columns}
    version = make_pipeline(project, user, steps(zeta=more, alpha={**more, "input": "zeta"}))
    kept = PipelineVersion.objects.get(pipeline=version).definition
    assert list(kept["steps"]) == ["sales", "zeta", "alpha", "save"]
    assert list(kept["steps"]["zeta"]["columns"]) == ["zz", "a", "mmm"]


def test_lineage_is_kept_per_step(project: Project, user: User) -> None:
    lineage = make_pipeline(project, user).versions.get().lineage
    assert lineage["sales"]["spend"] == [["sales", "spend"]]
    assert lineage["placed"]["department"] == [["products", "department"]]
    assert lineage["weekly"] == {
        "household": [["placed", "household"]],
        "total": [["placed", "spend"]],
        "visits": [["placed", ""]],
    }


def test_difference_of_versions_reads_step_by_step(
    project: Project, user: User, client: Client
) -> None:
    pipeline = make_pipeline(project, user)
    changed = json.loads(json.dumps(DEFINITION))
    changed["steps"]["bought"]["where"] = "spend > $least and week > 1"
    changed["parameters"]["most"] = 9
    del changed["steps"]["products"], changed["steps"]["placed"]
    changed["steps"]["weekly"]["input"] = "bought"
    version = add_version(pipeline, definition=changed, user=user)
    client.force_login(user, backend=BACKEND)
    said = client.get(f"/api/v1/pipeline-versions/{version.uuid}/diff/", {"with": 1}).json()
    parts = {each["part"]: each["change"] for each in said["changes"]}
    assert parts == {
        "parameters": "changed",
        "step bought": "changed",
        "step weekly": "changed",
        "step products": "removed",
        "step placed": "removed",
    }
    assert "- where: spend > $least\n+ where: spend > $least and week > 1" in said["text"]
    wrong = client.get(f"/api/v1/pipeline-versions/{version.uuid}/diff/", {"with": "x"})
    assert wrong.status_code == 400


def test_viewers_see_and_change_nothing(project: Project, user: User, client: Client) -> None:
    pipeline = make_pipeline(project, user)
    viewer = make_member(project, Role.VIEWER)
    with pytest.raises(PermissionDenied):
        add_version(pipeline, definition=steps(), user=viewer)
    client.force_login(viewer, backend=BACKEND)
    at = f"/api/v1/pipelines/{pipeline.uuid}/"
    assert client.get(at).json()["version"] == 1
    body = json.dumps({"description": "x"})
    assert client.patch(at, body, content_type="application/json").status_code == 403


def test_odd_but_possible_is_a_warning(project: Project, user: User, client: Client) -> None:
    spare = {"operation": "filter", "input": "sales", "where": "week > 1"}
    definition = steps()
    definition["steps"]["spare"] = spare
    version = make_pipeline(project, user, definition).versions.get()
    client.force_login(user, backend=BACKEND)
    said = client.get(f"/api/v1/pipeline-versions/{version.uuid}/").json()
    assert said["warnings"][0].startswith("Nothing uses step `spare`")
