"""Evaluations, by real confined jobs on real captures."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytest_django import Settings

from apps.accounts.models import User
from apps.deployments.models import Release
from apps.events.models import Event
from apps.jobs.models import State
from apps.monitoring.models import Alert, Evaluation, Monitor
from apps.monitoring.services import create_monitor, launch_evaluation
from apps.projects.models import Role
from tests.factories import make_member, make_project
from tests.monitoring.world import (
    END,
    START,
    capture,
    captures_of,
    count_traffic,
    definition,
    make_columns,
    make_endpoint,
    make_release,
    run_to_end,
)

pytestmark = pytest.mark.django_db(transaction=True)
HOUR = dt.timedelta(hours=1)


@pytest.fixture(autouse=True)
def var(settings: Settings, tmp_path: Path) -> Path:
    settings.VAR_DIR = tmp_path
    return tmp_path


class World:
    def __init__(self, var: Path, **document: Any) -> None:
        self.var = var
        self.project = make_project()
        self.user: User = make_member(self.project, Role.CONTRIBUTOR)
        endpoint = make_endpoint(self.project)
        self.champion = make_release(endpoint, "champion")
        self.challenger = make_release(endpoint, "challenger")
        self.monitor: Monitor = create_monitor(
            self.project, slug="drift", definition=definition(**document), user=self.user
        )

    def capture(self, release: Release, columns: dict[str, Any], **more: Any) -> None:
        capture(captures_of(release, self.var), columns, **more)

    def evaluate(self, **more: Any) -> Evaluation:
        window = {"window_start": START, "window_end": END, **more}
        evaluation = launch_evaluation(self.monitor, user=self.user, **window)
        run_to_end(evaluation.job)
        evaluation.refresh_from_db()
        return evaluation


def by_state(evaluation: Evaluation, state: str) -> set[tuple[str, str]]:
    signals = evaluation.results["signals"]
    return {(each["signal"], each["subject"]) for each in signals if each["state"] == state}


def test_unshifted_replay_stays_quiet(var: Path) -> None:
    world = World(var)
    world.capture(world.champion, make_columns(9_000, seed=2))
    world.capture(world.challenger, make_columns(1_000, seed=3))
    count_traffic(captures_of(world.champion, var), 9_000, {"400": 5})
    evaluation = world.evaluate()
    assert evaluation.job.state == State.SUCCEEDED, evaluation.job.message
    assert evaluation.row_count == 10_000
    assert evaluation.results["releases"] == {"champion": 9_000, "challenger": 1_000}
    assert by_state(evaluation, "alert") == set()
    assert ("psi", "spend") in by_state(evaluation, "ok")
    assert ("ks", "__prediction__ (challenger)") in by_state(evaluation, "ok")
    assert not Alert.objects.exists()


def test_shifted_column_alerts_and_is_named_until_it_is_back(var: Path) -> None:
    world = World(var)
    shifted = make_columns(5_000, seed=2)
    world.capture(world.champion, {**shifted, "spend": shifted["spend"] * 2})
    world.capture(world.champion, make_columns(5_000, seed=4), start=END, name="b")
    first = world.evaluate()
    assert {subject for _, subject in by_state(first, "alert")} == {"spend"}
    assert {signal for signal, _ in by_state(first, "alert")} >= {"psi", "ks", "wasserstein"}
    assert {alert.subject for alert in Alert.objects.filter(closed_at=None)} == {"spend"}
    opened = Event.objects.filter(verb="alert.opened").count()
    world.evaluate()
    assert Event.objects.filter(verb="alert.opened").count() == opened == Alert.objects.count()
    world.evaluate(window_start=END, window_end=END + HOUR)
    assert not Alert.objects.filter(closed_at=None).exists()
    assert Event.objects.filter(verb="alert.closed").count() == opened
    world.evaluate()
    assert not Alert.objects.filter(closed_at=None).exists(), "an earlier window is not news"


def test_few_rows_are_insufficient_and_change_no_alert(var: Path) -> None:
    world = World(var)
    columns = make_columns(100, seed=2)
    world.capture(world.champion, {**columns, "spend": columns["spend"] * 9})
    evaluation = world.evaluate()
    assert evaluation.row_count == 100
    assert by_state(evaluation, "alert") == set()
    assert ("psi", "spend") in by_state(evaluation, "insufficient")


def test_no_captures_at_all_are_insufficient(var: Path) -> None:
    world = World(var)
    evaluation = world.evaluate()
    assert evaluation.job.state == State.SUCCEEDED, evaluation.job.message
    assert evaluation.row_count == 0
    assert by_state(evaluation, "ok") == set()
    assert by_state(evaluation, "alert") == {("traffic_per_minute", "")}


def test_unreadable_segment_is_skipped_and_counted(var: Path) -> None:
    world = World(var)
    world.capture(world.champion, make_columns(1_000, seed=2))
    folder = captures_of(world.champion, var) / "dt=2026-11-20" / "hr=10"
    (folder / "b.parquet").write_bytes((folder / "a.parquet").read_bytes()[:2_000])
    (folder / "c.parquet").write_bytes(b"")
    count_traffic(captures_of(world.champion, var), 1_000, {})
    evaluation = world.evaluate()
    assert evaluation.row_count == 1_000
    assert evaluation.results["skipped"]["count"] == 2
    assert "dt=2026-11-20/hr=10/b.parquet" in evaluation.results["skipped"]["names"]


def test_missing_reference_fails_and_names_the_release(var: Path) -> None:
    world = World(var)
    world.capture(world.challenger, make_columns(1_000, seed=2))
    (world.challenger.version.path / "reference.json").unlink()
    evaluation = world.evaluate()
    assert evaluation.job.state == State.FAILED
    assert "challenger" in evaluation.job.message
    assert "training reference" in evaluation.job.message
    assert evaluation.results == {} and evaluation.row_count is None


def test_broken_reference_fails_with_a_plain_word(var: Path) -> None:
    world = World(var)
    (world.champion.version.path / "reference.json").write_text("{")
    evaluation = world.evaluate()
    assert evaluation.job.state == State.FAILED
    assert "cannot be read" in evaluation.job.message


def test_one_release_alone_changes_no_alert(var: Path) -> None:
    world = World(var)
    shifted = make_columns(5_000, seed=2)
    world.capture(world.champion, {**shifted, "spend": shifted["spend"] * 2})
    evaluation = world.evaluate(release="champion")
    assert ("psi", "spend") in by_state(evaluation, "alert")
    assert not Alert.objects.exists()


def test_figures_are_exact_and_told_with_their_n(var: Path) -> None:
    world = World(var)
    world.capture(world.champion, make_columns(2_000, seed=2))
    count_traffic(captures_of(world.champion, var), 1_990, {"400": 4, "503": 6})
    signals = {e["signal"]: e for e in world.evaluate().results["signals"] if not e["subject"]}
    assert signals["latency_p95_ms"]["value"] == pytest.approx(1.9)
    assert signals["latency_p95_ms"]["n"] == 2_000
    assert signals["error_rate"]["value"] == 10 / 2_000
    assert signals["traffic_per_minute"]["value"] == pytest.approx(2_000 / 60)


def test_charts_add_up(var: Path) -> None:
    world = World(var)
    world.capture(world.champion, make_columns(3_000, seed=2))
    count_traffic(captures_of(world.champion, var), 3_000, {"400": 4})
    charts = world.evaluate().results["charts"]
    series = charts["series"]
    assert series["step_seconds"] == 60 and len(series["starts"]) == 60
    assert sum(series["rows"]["champion"]) == 3_000
    assert series["errors"] == {"400": [4] + [0] * 59}
    assert series["latency_ms"]["champion"]["n"] == [50] * 60
    assert series["drift"]["visits"]["n"] == [50] * 60
    assert all(isinstance(value, float) for value in series["drift"]["visits"]["psi"])
    spend = next(each for each in charts["columns"] if each["subject"] == "spend")
    assert sum(spend["current"]) == pytest.approx(1, abs=1e-4)
    assert len(spend["current"]) == len(spend["edges"]) + 1
    assert spend["n"] + spend["missing"] == 3_000


def test_dropped_column_is_insufficient_not_wrong(var: Path) -> None:
    world = World(var)
    columns = make_columns(1_000, seed=2)
    # What a policy of keeping only hashes leaves of a number.
    columns["spend"] = np.array(["ab12"] * 1_000, dtype=object)
    world.capture(world.champion, columns)
    entries = [e for e in world.evaluate().results["signals"] if e["subject"] == "spend"]
    assert {each["state"] for each in entries} == {"insufficient"}
    assert all("capture policy" in each["note"] for each in entries)


def test_job_outputs_do_not_keep_the_charts_twice(var: Path) -> None:
    world = World(var)
    world.capture(world.champion, make_columns(1_000, seed=2))
    evaluation = world.evaluate()
    evaluation.job.refresh_from_db()
    assert "charts" not in evaluation.job.outputs
    assert json.dumps(evaluation.results)
