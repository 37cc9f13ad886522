"""The thread that writes captured rows and traffic to disk, so that the event loop never waits."""

import datetime as dt
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable

from runtime.serving.endpoints import Release
from runtime.serving.ring import Record, Ring
from runtime.serving.segments import draft_segments, keep_segments

log = logging.getLogger("portolan.serving")
FLUSH_ROWS = 10_000
FLUSH_SECONDS = 5.0
LOOK_SECONDS = 0.25
NICENESS = 10


class Keeper:
    """`releases` tells who is served now; what is left of others is handed to `leave`.

    Rows are at most five seconds in memory, and lost with a process that is killed. While the disk
    takes nothing they stay in their ring, which drops and counts what no longer fits.
    """

    def __init__(self, instance: str, releases: Callable[[], Iterable[Release]]) -> None:
        self._instance, self._releases = instance, releases
        self._left: list[tuple[Release, Ring]] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._segments = 0
        self._minute = _this_minute()
        self._retry_at = 0.0
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def leave(self, release: Release, ring: Ring) -> None:
        """A ring that nothing more is put into: write it out, then forget it."""
        self._left.append((release, ring))

    def stop(self) -> None:
        """Write everything, and end."""
        self._stopping.set()
        self._thread.join(5)
        self.flush()

    def flush(self) -> int:
        """Write all that is captured, and the traffic up to now; returns the rows written."""
        with self._lock:
            rows = self._flush()
            self._tell(self._minute)
        return rows

    def _run(self) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        import pyarrow.parquet  # noqa: F401  (half a second, better spent now than at the end)

        while not self._stopping.wait(LOOK_SECONDS):
            with self._lock:
                if time.monotonic() >= self._retry_at:
                    self._flush(only_if_due=True)
                if (minute := _this_minute()) != self._minute:
                    self._tell(self._minute)
                    self._minute = minute

    def _flush(self, *, only_if_due: bool = False) -> int:
        """All rings as they are at one moment, put in place together: what a killed process takes
        with it is then of every release alike, and captures keep the shares of the traffic."""
        rings = [*self._left, *((r, r.ring) for r in self._releases() if r.ring)]
        if only_if_due and not any(_is_due(ring) for _, ring in rings):
            return 0
        taken = [(release, ring, ring.peek()) for release, ring in rings]
        drafts = [
            (ring, len(records), places)
            for release, ring, records in taken
            if records and (places := self._draft(release, ring, records))
        ]
        for _, _, places in drafts:
            keep_segments(places)
        for ring, count, _ in drafts:
            ring.release(count)
        self._left = [each for each in self._left if len(each[1])]
        return sum(count for _, count, _ in drafts)

    def _draft(self, release: Release, ring: Ring, records: list[Record]) -> list[str]:
        """Where the drafts are to go; none while the disk takes nothing."""
        self._segments += 1
        name = f"{self._instance}-{int(time.time() * 1000):x}-{self._segments}"
        try:
            return draft_segments(release.folder, name, ring.policy, records)
        except OSError as error:
            log.error("captured rows cannot be written, and wait: %s", error)
            self._retry_at = time.monotonic() + FLUSH_SECONDS
            return []

    def _tell(self, minute: dt.datetime) -> None:
        for release in self._releases():
            try:
                release.minutes.write(minute, release.dropped)
            except OSError as error:
                log.error("traffic cannot be written, and waits: %s", error)


def _is_due(ring: Ring) -> bool:
    if len(ring) >= FLUSH_ROWS:
        return True
    oldest = ring.oldest_at
    return oldest is not None and time.time() - oldest / 1e6 >= FLUSH_SECONDS


def _this_minute() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(second=0, microsecond=0)
