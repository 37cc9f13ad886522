"""Captured rows between the request and the file: a ring of fixed size that never waits.

One thread puts (the event loop), one takes (the keeper); a full ring drops and counts.
"""

import hashlib
import math
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

SLOTS = 32_768
ARROW_KINDS = {"number": "double", "integer": "int64", "boolean": "bool"}


class Record(NamedTuple):
    """A captured row. `at` is microseconds since the epoch; `numbers` and `others` are the kept
    columns' values, as `Policy.apply` has made them."""

    request_id: str
    row: int
    at: int
    numbers: bytes
    others: tuple[Any, ...]
    prediction: float | None
    label: str | None
    latency_us: int


# What Record(…) does, without its detour through Python.
_make_record = tuple.__new__


class Policy:
    """Which columns of a row are captured, and how: applied before the ring, so that what must not
    be kept never is. `numbers` are the inputs that are kept as doubles, `others` all the rest."""

    def __init__(
        self, signature: Mapping[str, Any], columns: Mapping[str, str], secret: bytes
    ) -> None:
        known = [*signature["inputs"], *signature.get("keys", ())]
        kept = [each for each in known if columns.get(str(each["name"]), "keep") != "drop"]
        self.names = [str(each["name"]) for each in kept]
        hashed = {name for name in self.names if columns.get(name) == "hash"}
        plain = {str(each["name"]) for each in signature["inputs"] if each["kind"] == "number"}
        self.numbers = [name for name in self.names if name in plain - hashed]
        self.others = {
            str(each["name"]): "string"
            if each["name"] in hashed
            else ARROW_KINDS.get(str(each["kind"]), "string")
            for each in kept
            if each["name"] not in self.numbers
        }
        self._hashed = [place for place, name in enumerate(self.others) if name in hashed]
        self._secret = secret
        self._take_numbers, self._take_others = _taker(self.numbers), _taker(list(self.others))
        self._pack = struct.Struct(f"={len(self.numbers)}d").pack

    def apply(self, row: Mapping[str, Any]) -> tuple[bytes, tuple[Any, ...]]:
        """The row's numbers, as packed doubles with NaN for null, and its other values. Packed,
        they are a quarter of the memory to write now and to read when they go to disk."""
        try:
            numbers = self._pack(*self._take_numbers(row))
        except struct.error:
            sent = self._take_numbers(row)
            numbers = self._pack(*[math.nan if value is None else value for value in sent])
        try:
            others = self._take_others(row)
        except KeyError:
            # A key column that was not sent.
            others = tuple([row.get(name) for name in self.others])
        if not self._hashed:
            return numbers, others
        hidden = list(others)
        for place in self._hashed:
            hidden[place] = self._hash(hidden[place])
        return numbers, tuple(hidden)

    def _hash(self, value: Any) -> str | None:
        """With a secret of this site's, so that nobody can hash all the names there are."""
        if value is None:
            return None
        return hashlib.blake2b(str(value).encode(), key=self._secret, digest_size=16).hexdigest()


def _taker(names: Sequence[str]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    """An itemgetter that makes a tuple of one name and of none, too."""
    if len(names) > 1:
        return itemgetter(*names)
    if not names:
        return lambda row: ()
    (only,) = names
    return lambda row: (row[only],)


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
            numbers, others = apply(row)
            own = (request_id, place, at, numbers, others, predictions[place], label, latency_us)
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
