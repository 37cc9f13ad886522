"""From rows to what is served: weights, keys, rolling back, and what the server refuses."""

import json
from pathlib import Path

import pytest

from apps.accounts.models import User
from apps.core.errors import Conflict
from apps.deployments import routing
from apps.deployments.models import Endpoint, RouteChange
from apps.deployments.routing import roll_back, set_weights
from apps.deployments.services import (
    create_key,
    retire_release,
    revoke_key,
    rotate_key,
    update_endpoint,
)
from apps.events.models import Event
from apps.jobs.models import Job, State
from apps.projects.models import Project
from tests.deployments.rows import finish, finish_all, make_endpoint, make_release, weights_of
from tests.runtime.serving.server import ROW, Answer, ScoringServer


@pytest.fixture
def endpoint(server: ScoringServer, project: Project, owner: User, onnx: Path) -> Endpoint:
    """With two releases, `one` and `two`, of real packages."""
    endpoint = make_endpoint(project, owner, keys=["household_id"])
    for slug in ("one", "two"):
        make_release(endpoint, owner, slug, onnx)
    finish_all()
    return endpoint


def ask(server: ScoringServer, endpoint: Endpoint, key: str) -> Answer:
    headers = {"Authorization": f"Bearer {key}"}
    return server.post(f"/{endpoint.address}/score", {"rows": [ROW]}, **headers)


def test_weights_are_applied_once_acknowledged_and_rolled_back_in_one_call(
    server: ScoringServer, endpoint: Endpoint, owner: User
) -> None:
    _, key = create_key(endpoint, name="tests", user=owner)
    change = finish(set_weights(endpoint, weights={"one": 100}, user=owner, reason="go"))
    assert (change.job.state, change.applied_at is not None) == (State.SUCCEEDED, True)
    assert ask(server, endpoint, key).body["release"] == "one"
    endpoint.refresh_from_db()
    told = endpoint.observed["releases"]["one"]
    assert (told["weight"], told["state"]) == (100, "ready")
    assert told["engine"].startswith("ONNX Runtime")
    finish(set_weights(endpoint, weights={"two": 100}, user=owner))
    assert ask(server, endpoint, key).body["release"] == "two"
    back = finish(roll_back(endpoint, user=owner))
    assert (back.weights, back.reason) == (change.weights, "Rolled back")
    assert ask(server, endpoint, key).body["release"] == "one"


def test_release_without_traffic_is_loaded_and_can_be_pinned(
    server: ScoringServer, endpoint: Endpoint, owner: User
) -> None:
    _, key = create_key(endpoint, name="tests", user=owner)
    finish_all()
    headers = {"Authorization": f"Bearer {key}", "X_Portolan_Release": "two"}
    answer = server.post(f"/{endpoint.address}/score", {"rows": [ROW]}, **headers)
    assert answer.body["release"] == "two"


def test_refused_change_is_told_and_the_weights_put_back(
    server: ScoringServer, endpoint: Endpoint, owner: User
) -> None:
    _, key = create_key(endpoint, name="tests", user=owner)
    finish(set_weights(endpoint, weights={"one": 100}, user=owner))
    bad = make_release(endpoint, owner, "bad", None)  # without a package
    finish_all()
    change = finish(set_weights(endpoint, weights={"one": 50, "bad": 50}, user=owner))
    assert change.job.state == State.FAILED
    assert "goes on as before" in change.job.message
    assert "package.json cannot be read" in change.job.message
    assert weights_of(endpoint) == {"one": 100}
    assert ask(server, endpoint, key).body["release"] == "one"
    finish_all()
    assert server.status()["refused"] is None
    assert server.status()["applied"] == change.number + 1
    endpoint.refresh_from_db()
    assert endpoint.observed["releases"][bad.slug]["state"] == "failed"
    assert Event.objects.filter(verb="endpoint.weights_put_back").exists()


def test_keys_open_expire_and_end(server: ScoringServer, endpoint: Endpoint, owner: User) -> None:
    finish(set_weights(endpoint, weights={"one": 100}, user=owner))
    key, text = create_key(endpoint, name="a client", user=owner)
    assert text.startswith("ptk_")
    assert text not in json.dumps(list(Job.objects.values_list("spec", flat=True)))
    finish_all()
    assert ask(server, endpoint, text).status == 200
    _, second = rotate_key(key, user=owner)
    finish_all()
    assert [ask(server, endpoint, each).status for each in (text, second)] == [200, 200]
    revoke_key(key, user=owner)
    finish_all()
    assert [ask(server, endpoint, each).status for each in (text, second)] == [401, 200]
    with pytest.raises(Conflict, match="has ended"):
        rotate_key(key, user=owner)


def test_changed_definition_is_served(
    server: ScoringServer, endpoint: Endpoint, owner: User
) -> None:
    _, key = create_key(endpoint, name="tests", user=owner)
    finish(set_weights(endpoint, weights={"one": 100}, user=owner))
    definition = {"model": "churn", "limits": {"body_bytes": 1024}}
    update_endpoint(endpoint, definition=definition, user=owner)
    finish_all()
    headers = {"Authorization": f"Bearer {key}"}
    body = b" " * 2000
    assert server.post(f"/{endpoint.address}/score", body, **headers).status == 413


def test_server_that_does_not_run_is_said_and_nothing_is_left_half_done(
    server: ScoringServer, endpoint: Endpoint, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish(set_weights(endpoint, weights={"one": 100}, user=owner))
    server.kill()
    monkeypatch.setattr(routing, "APPLY_SECONDS", 1)
    change = finish(set_weights(endpoint, weights={"two": 100}, user=owner))
    assert change.job.state == State.FAILED
    assert "scoring server does not run" in change.job.message
    assert weights_of(endpoint) == {"one": 100}
    finish_all()
    server.start()
    told = server.status()
    last = RouteChange.objects.latest("number")
    assert told["applied"] == last.number
    assert (last.weights, last.reason) == (last.before, f"Put back after {change.number}")
    (entry,) = json.loads((server.folder / "routes.json").read_text())["endpoints"]
    assert {each["slug"]: each["weight"] for each in entry["releases"]} == {"one": 100, "two": 0}


def test_late_job_does_not_write_over_a_newer_snapshot(
    server: ScoringServer, endpoint: Endpoint, owner: User
) -> None:
    first = set_weights(endpoint, weights={"one": 100}, user=owner)
    second = set_weights(endpoint, weights={"two": 100}, user=owner)
    assert finish(second).job.state == State.SUCCEEDED
    assert finish(first).job.state == State.SUCCEEDED
    assert server.status()["applied"] == second.number
    assert weights_of(endpoint) == {"two": 100}


def test_retired_release_is_unloaded(
    server: ScoringServer, endpoint: Endpoint, owner: User
) -> None:
    finish(set_weights(endpoint, weights={"one": 100}, user=owner))
    one, two = endpoint.releases.order_by("slug")
    with pytest.raises(Conflict, match="Set its weight to 0 first"):
        retire_release(one, user=owner)
    retire_release(two, user=owner)
    finish_all()
    assert set(server.status()["releases"]) == {str(one.uuid)}
