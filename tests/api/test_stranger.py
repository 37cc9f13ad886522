"""Somebody who has the OpenAPI document alone, other data and another question, from the file to a
watched endpoint: real processes, real trainings, nothing faked."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from portal.env import Env
from tests.api import journey
from tests.api.rides import make_rides
from tests.api.stranger import Stranger
from tests.conftest import _skip
from tests.house.portal import Portal
from tests.servers import wait_until

pytestmark = pytest.mark.process
TOKEN = (
    "from apps.accounts.models import User; from apps.accounts.scopes import SCOPES;"
    "from apps.accounts.tokens import create_token; u = User.objects.earliest('pk');"
    "print(create_token(u, name='test', scopes=SCOPES, days=1, created_by=u)[1])"
)


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[Stranger]:
    for name in ("train", "serve"):
        if not (Env().environments_dir / name / "bin" / "python").exists():
            _skip(f"the environment {name} is not installed (make environments)")
    portal = Portal(tmp_path / "var")
    portal.start()
    try:
        token = portal.run("shell", "-v0", "-c", TOKEN).split()[-1]
        yield Stranger(portal.url, token)
    finally:
        portal.end()


def test_client_of_the_document_alone_builds_another_project(stranger: Stranger) -> None:
    rides = make_rides()
    source = journey.gather(stranger, rides)
    run = journey.prepare(stranger, rides)
    best, other = journey.train(stranger)
    version = journey.register(stranger, best)
    endpoint, key = journey.deploy(stranger, version)
    caller = journey.Caller(stranger, endpoint, key["text"])
    answer = journey.score(stranger, caller, best)
    read = journey.trace(stranger, answer.headers["X-Request-Id"], source, run)
    assert journey.hour_of(read["ride_hour"]) in {journey.hour_of(r["ride_hour"]) for r in rides}
    journey.watch(stranger, len(answer.body["predictions"]) + 2 * 20)
    journey.schedule(stranger)
    journey.copy(stranger, rides, source["definition"]["connection"]["upload"])
    journey.roll_back(stranger, endpoint, journey.register(stranger, other))
    stranger("endpoint_keys_revoke", uuid=key["uuid"])
    example = caller.row["examples"]
    wait_until(lambda: caller("score", {"rows": example}).status == 401, what="the key's end")
