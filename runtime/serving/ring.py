"""Captured rows between the request and the file: a ring of fixed size that never waits.

One thread puts (the event loop), one takes (the keeper); a full ring drops and counts.
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

SLOTS = 32_768
ARROW_KINDS = {"number": "double", "integer": "int64", "boolean": "bool"}


class Record(NamedTuple):
    """A captured row. `at` is microseconds since the epoch; `values` are the kept columns'."""

    request_id: str
    row: int
    at: int
    values: Sequence[Any]
    prediction: float | None
    label: str | None
    latency_us: int


# What Record(…) does, without its detour through Python.
_make_record = tuple.__new__


class Policy:
    """Which columns of a row are captured, and how: applied before the ring, so that what must not
    be kept never is."""

    def __init__(
        self, signature: Mapping[str, Any], columns: Mapping[str, str], secret: bytes
    ) -> None:
        known = [*signature["inputs"], *signature.get("keys", ())]
        kept = [each for each in known if columns.get(str(each["name"]), "keep") != "drop"]
        self.names = [str(each["name"]) for each in kept]
        self._hashed = [
            place for place, name in enumerate(self.names) if columns.get(name) == "hash"
        ]
        kinds = [ARROW_KINDS.get(str(each["kind"]), "string") for each in kept]
        self.types = [
            "string" if place in self._hashed else kind for place, kind in enumerate(kinds)
        ]
        self._secret = secret
        self._take = itemgetter(*self.names) if len(self.names) > 1 else None

    def apply(self, row: Mapping[str, Any]) -> Sequence[Any]:
        """The row's captured values, in the order of `names`."""
        try:
            values: Sequence[Any] = self._take(row) if self._take else self._get(row)
        except KeyError:
            # A key column that was not sent.
            values = self._get(row)
        if not self._hashed:
            return values
        hidden = list(values)
        for place in self._hashed:
            hidden[place] = self._hash(hidden[place])
        return tuple(hidden)

    def _get(self, row: Mapping[str, Any]) -> Sequence[Any]:
        return tuple([row.get(name) for name in self.names])

    def _hash(self, value: Any) -> str | None:
        """With a secret of this site's, so that nobody can hash all the names there are."""
        if value is None:
            return None
        return hashlib.blake2b(str(value).encode(), key=self._secret, digest_size=16).hexdigest()


class Ring:
    """`dropped` counts rows that found it full."""

    def __init__(self, policy: Policy, slots: int = SLOTS) -> None:
        self.policy, self.dropped = policy, 0
        self._slots: list[Record | None] = [None] * slots
        self._size = slots
        self._put = self._taken = 0

    def __len__(self) -> int:
        return self._put - self._taken

    @property
    def oldest_at(self) -> int | None:
        """When the oldest row came, in microseconds since the epoch."""
        record = self._slots[self._taken % self._size] if self._put > self._taken else None
        return record.at if record else None

    def keep(
        self,
        request_id: str,
        rows: Sequence[Mapping[str, Any]],
        predictions: Sequence[float],
        labels: Sequence[str] | None,
        latency_us: int,
    ) -> None:
        """Put the rows of one request, as the policy has them, with what was answered."""
        at, apply = time.time_ns() // 1000, self.policy.apply
        for place, row in enumerate(rows):
            label = labels[place] if labels is not None else None
            own = (request_id, place, at, apply(row), predictions[place], label, latency_us)
            self.put(_make_record(Record, own))

    def put(self, record: Record) -> None:
        place = self._put
        if place - self._taken >= self._size:
            self.dropped += 1
            return
        self._slots[place % self._size] = record
        self._put = place + 1

    def peek(self) -> list[Record]:
        """All that is there, oldest first. It stays until `release`."""
        first, last, size = self._taken, self._put, self._size
        start, end = first % size, last % size
        if first == last:
            return []
        found = self._slots[start:end] if start < end else self._slots[start:] + self._slots[:end]
        return [each for each in found if each is not None]

    def release(self, count: int) -> None:
        """Give the oldest slots free: their rows are in a file."""
        for place in range(self._taken, self._taken + count):
            self._slots[place % self._size] = None
        self._taken += count
