"""Later weeks sent to the endpoint as live requests, each exactly once however often it is begun.

A request's id says which row it is. What was captured is told by the captures themselves: after
the scoring server has written all it holds, whatever id is not there was not captured, and is sent.
"""

import contextlib
import http.client
import json
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portal.demo.client import Failed

KEYS = ("week", "household_id")
THREADS = 4
ROUNDS = 20
WAIT_SECONDS = 30.0
Rows = dict[str, dict[str, Any]]


@dataclass
class Score:
    """How a replay went: requests answered, and the releases that answered them."""

    sent: int = 0


class Replay:
    """The rows of one dataset version, as requests to one endpoint."""

    def __init__(
        self,
        var: Path,
        serving: str,
        endpoint: Mapping[str, Any],
        dataset: Mapping[str, Any],
        version: Mapping[str, Any],
        say: Callable[[str], None],
    ) -> None:
        self.var, self.say = var, say
        self.endpoint, self.version = endpoint, version
        self._table = next(var.glob(f"lake/*/{dataset['uuid']}"))
        self._captures = var / "captures" / str(endpoint["uuid"])
        parts = urllib.parse.urlsplit(serving)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._path = f"/{endpoint['project']}/{endpoint['slug']}/score"
        self._rows: Rows = {}

    def rows(self) -> Rows:
        """Request id to row, in the order of the weeks."""
        if not self._rows:
            from runtime.data.delta import open_dataset

            table = open_dataset(str(self._table), int(self.version["number"])).to_table()
            ordered = table.sort_by([(name, "ascending") for name in KEYS])
            self._rows = {self._id(row): row for row in ordered.to_pylist()}
        return self._rows

    def _id(self, row: Mapping[str, Any]) -> str:
        keys = "-".join(str(row[name]) for name in KEYS)
        return f"replay-{self.version['number']}-{keys}"

    def missing(self) -> Rows:
        """The rows that are not captured yet."""
        there = {each for each, _ in self._captured()}
        return {name: row for name, row in self.rows().items() if name not in there}

    def shares(self) -> Counter[str]:
        """How many of this replay's requests each release answered, by the captures."""
        slugs = {each["uuid"]: each["slug"] for each in self.endpoint["releases"]}
        wanted = self.rows()
        return Counter(slugs.get(uuid, uuid) for name, uuid in self._captured() if name in wanted)

    def example(self) -> str:
        """A captured request to look at: of those, the one most likely to stay away."""
        import pyarrow.dataset as ds

        self._flush()
        names = ["request_id", "prediction"]
        table = ds.dataset(self._segments(), format="parquet").to_table(columns=names)
        wanted = self.rows()
        rows = [each for each in table.to_pylist() if each["request_id"] in wanted]
        return str(
            max(rows, key=lambda each: (each["prediction"], each["request_id"]))["request_id"]
        )

    def _captured(self) -> Iterator[tuple[str, str]]:
        """(request id, release uuid) of everything captured at the endpoint."""
        import pyarrow.parquet as pq

        self._flush()
        for path in self._segments():
            release = Path(path).relative_to(self._captures).parts[0]
            for name in pq.read_table(path, columns=["request_id"])["request_id"].to_pylist():
                yield name, release

    def _segments(self) -> list[str]:
        return sorted(str(path) for path in self._captures.glob("*/dt=*/hr=*/*.parquet"))

    def _flush(self) -> None:
        from runtime.serving.admin import flush

        ends = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                flush(str(self.var))
                return
            except (OSError, http.client.HTTPException) as error:
                if time.monotonic() > ends:
                    raise Failed(
                        "The scoring server does not answer. See var/log/serving.log."
                    ) from error
                time.sleep(0.2)

    def opens(self, key: str) -> bool:
        """Whether the endpoint takes the key by now: an empty body is refused, but not as a
        stranger's."""
        connection = self._connect()
        try:
            connection.request("POST", self._path, b"{}", _headers(key, "replay-key-check"))
            return connection.getresponse().status not in (401, 403, 404, 503)
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def send(self, rows: Rows, key: str) -> Score:
        """Send the rows, and whatever of them was not captured again. Raise Failed."""
        score = Score()
        for _ in range(ROUNDS):
            self._send_round(list(rows.items()), key, score)
            rows = self.missing()
            if not rows:
                return score
            self.say(f"{len(rows):,} requests were not captured; sending those again.")
        raise Failed(f"{len(rows):,} requests could not be captured. See var/log/serving.log.")

    def _send_round(
        self, rows: Sequence[tuple[str, dict[str, Any]]], key: str, score: Score
    ) -> None:
        """One pass, over a few connections. A lost connection ends the pass: only the captures
        tell whether what was on its way had arrived."""
        stop, faults = threading.Event(), []

        def work(part: Sequence[tuple[str, dict[str, Any]]]) -> None:
            try:
                self._send_part(part, key, score, stop)
            except Failed as error:
                faults.append(error)
            except (OSError, http.client.HTTPException):
                time.sleep(0.3)
            finally:
                if faults:
                    stop.set()

        threads = [
            threading.Thread(target=work, args=(rows[place::THREADS],)) for place in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if faults:
            raise faults[0]

    def _send_part(
        self,
        rows: Sequence[tuple[str, dict[str, Any]]],
        key: str,
        score: Score,
        stop: threading.Event,
    ) -> None:
        with contextlib.closing(self._connect()) as connection:
            for name, row in rows:
                if stop.is_set():
                    return
                self._send_one(connection, name, row, key, score)

    def _send_one(
        self,
        connection: http.client.HTTPConnection,
        name: str,
        row: Mapping[str, Any],
        key: str,
        score: Score,
    ) -> None:
        body = json.dumps({"rows": [row]}).encode()
        connection.request("POST", self._path, body, _headers(key, name))
        with connection.getresponse() as answer:
            text = answer.read()
        if answer.status == 200:
            score.sent += 1
        elif answer.status not in (429, 503):
            raise Failed(f"{name} was refused: {text[:300].decode('utf-8', 'replace')}")

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._host, self._port, timeout=10)


def _headers(key: str, name: str) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/json",
        "X-Request-Id": name,
    }
