"""PostgreSQL as a source: a real server, and what may not be connected to."""

from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.core.exceptions import ValidationError

from apps.accounts.models import User
from apps.jobs.models import State
from apps.projects.models import Project
from apps.sources import services
from apps.sources.models import Source
from runtime.data.addresses import AddressError, allowed_address
from runtime.data.delta import open_dataset
from tests.servers import Postgres, free_port
from tests.sources.making import finish, make_dataset

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]
ROWS = """
CREATE TABLE IF NOT EXISTS orders (id bigint, total numeric(10, 2), at timestamptz, note text,
    tags jsonb, key uuid, day date, "Odd ""name" boolean);
TRUNCATE orders;
INSERT INTO orders SELECT n, n * 1.25, now(), 'row ' || n, '{"a": 1}', gen_random_uuid(),
    current_date, n % 2 = 0 FROM generate_series(1, 5000) AS n;
CREATE OR REPLACE FUNCTION spoil() RETURNS bigint AS
    'DELETE FROM orders; SELECT 1::bigint' LANGUAGE sql;
"""


@pytest.fixture
def shop(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """How to reach a database with rows, from a site that allows this machine's own address."""
    monkeypatch.setattr(settings.ENV, "allowed_private_hosts", ["127.0.0.1"])
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(ROWS)
    place = {"host": "127.0.0.1", "port": postgres.port, "database": "postgres"}
    return {"kind": "postgresql", "user": "portolan", **place}


def make(project: Project, person: User, connection: dict[str, Any], secret: str = "") -> Source:
    return services.create_source(
        project, slug="shop", definition={"connection": connection}, secret=secret, user=person
    )


def ingest(project: Project, person: User, source: Source) -> Any:
    return finish(services.launch_ingest(make_dataset(project, source), user=person))


def test_table_is_ingested_in_arrow_types(project: Project, person: User, shop: Any) -> None:
    source = make(project, person, {**shop, "table": "public.orders"}, secret="hunter2")
    job = ingest(project, person, source)
    assert job.state == State.SUCCEEDED, job.message
    version = services.get_version(project, "orders")
    kinds = [each["type"] for each in version.columns]
    assert kinds[:4] == ["int64", "double", "timestamp[us, tz=UTC]", "string"]
    assert kinds[4:] == ["string", "string", "date32[day]", "bool"]
    table = open_dataset(str(version.dataset.path), 0).to_table()
    assert (table.num_rows, table["total"].to_pylist()[3]) == (5000, 5.0)
    assert "hunter2" not in str(job.spec) + str(job.outputs) + job.message
    assert not list((settings.VAR_DIR / "jobs" / str(job.pk)).rglob("secret"))


def test_query_is_previewed_and_cannot_change_a_thing(
    project: Project, person: User, shop: Any, answering: None, postgres: Postgres
) -> None:
    query = "SELECT note, total FROM orders WHERE id <= 30 ORDER BY id;"
    source = make(project, person, {**shop, "query": query})
    seen = services.look_at_source(source, user=person)
    assert [each["name"] for each in seen["columns"]] == ["note", "total"]
    assert (len(seen["rows"]), seen["rows"][0]) == (20, {"note": "row 1", "total": 1.25})
    spoiling = {"connection": {**shop, "query": "SELECT spoil()"}}
    services.update_source(source, definition=spoiling, user=person)
    with pytest.raises(ValidationError, match="read-only"):
        services.look_at_source(source, user=person)
    with psycopg.connect(postgres.url()) as connection:
        assert connection.execute("SELECT count(*) FROM orders").fetchone() == (5000,)


@pytest.mark.parametrize(
    ("change", "field", "text"),
    [
        ({"table": "nothing"}, "definition.connection.table", "does not exist"),
        ({"database": "none"}, "definition.connection.database", "does not exist"),
        ({"port": 1}, "definition.connection.host", "cannot be reached"),
        ({"host": "10.255.255.1"}, "definition.connection.host", "PORTOLAN_ALLOWED_PRIVATE_HOSTS"),
        ({"host": "nowhere.invalid"}, "definition.connection.host", "no host called"),
    ],
)
def test_what_is_wrong_with_a_connection_is_said(
    project: Project, person: User, shop: Any, answering: None,
    change: dict[str, Any], field: str, text: str,
) -> None:  # fmt: skip
    source = make(project, person, {**shop, "table": "orders", **change})
    with pytest.raises(ValidationError) as caught:
        services.look_at_source(source, user=person)
    assert list(caught.value.message_dict) == [field], caught.value
    assert text in caught.value.messages[0]


def test_unreachable_server_fails_the_job_plainly(
    project: Project, person: User, shop: Any
) -> None:
    source = make(project, person, {**shop, "port": free_port(), "table": "orders"}, secret="s3cr")
    job = ingest(project, person, source)
    assert job.state == State.FAILED
    assert "cannot be reached" in job.message
    assert "s3cr" not in job.message


@pytest.mark.parametrize("sql", [
    "DROP TABLE orders", "SELECT 1; SELECT 2", "COPY orders TO '/tmp/x'", "SELECT * INTO x FROM y",
    "WITH x AS (DELETE FROM orders RETURNING *) SELECT * FROM x", "nonsense (", "",
])  # fmt: skip
def test_sql_that_is_not_one_select_is_refused(
    project: Project, person: User, shop: Any, sql: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        make(project, person, {**shop, "query": sql})
    assert next(iter(caught.value.message_dict)).startswith("definition.connection")


NEVER = ("169.254.169.254", "0.0.0.0", "224.0.0.1", "fe80::1", "::", "fd00:ec2::254")  # noqa: S104


@pytest.mark.parametrize("host", [*NEVER, "::ffff:169.254.1.1"])
def test_addresses_that_are_never_allowed(host: str) -> None:
    with pytest.raises(AddressError, match="no source may connect"):
        allowed_address(host, 5432, ["0.0.0.0/0", "::/0", host])


@pytest.mark.parametrize("host", ["127.0.0.1", "10.1.2.3", "::1", "100.64.0.1", "192.168.1.1"])
def test_private_addresses_need_to_be_listed(host: str) -> None:
    with pytest.raises(AddressError, match="PORTOLAN_ALLOWED_PRIVATE_HOSTS"):
        allowed_address(host, 5432)
    assert allowed_address(host, 5432, [host]) == host
    assert allowed_address("10.1.2.3", 1, ["10.1.0.0/16"]) == "10.1.2.3"
