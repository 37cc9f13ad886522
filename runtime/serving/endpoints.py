"""Endpoints and releases as they are served: keys, the split, and what each release holds."""

import random
import time
from collections.abc import Mapping
from hashlib import blake2b, sha256
from typing import Any

from runtime.encoding import Encoder
from runtime.serving.answers import Reader
from runtime.serving.counters import Counters, Minutes
from runtime.serving.native import NativePredictor
from runtime.serving.packages import Package, Predictor
from runtime.serving.problems import Problem, busy
from runtime.serving.ring import Policy, Ring
from runtime.serving.routes import Capture, EndpointSpec, ReleaseSpec

UNAUTHORISED = {"WWW-Authenticate": "Bearer"}
KEY_KINDS: Mapping[str, tuple[type, ...]] = {"integer": (int,), "text": (str,)}
INT64 = 2**63


class Release:
    """A loaded model under a release's name. Lives on from snapshot to snapshot, with its counters;
    its ring is made anew when the capture policy changes."""

    def __init__(
        self,
        spec: ReleaseSpec,
        package: Package,
        encoder: Encoder,
        predictor: Predictor | NativePredictor,
        folder: str,
        endpoint: str,
    ) -> None:
        self.uuid, self.slug, self.folder, self.endpoint = spec.uuid, spec.slug, folder, endpoint
        self.package, self.encoder, self.predictor = package, encoder, predictor
        self.native = predictor if isinstance(predictor, NativePredictor) else None
        # Looked up once: this is called for every request.
        if not isinstance(predictor, NativePredictor):
            self.run, self.run_row = predictor.run, predictor.run_row
        self.pack_row = encoder.pack_row
        self.slug_bytes = spec.slug.encode()
        self.reader = Reader(package.signature, package.task)
        self.counters = Counters()
        self.minutes = Minutes(folder, self.counters)
        self.ring: Ring | None = None
        self.dropped_before = 0
        self.sample = 0.0
        self._capture: Capture | None = None
        self._keys = [
            (str(each["name"]), KEY_KINDS.get(str(each["kind"]), (str, int)))
            for each in package.signature.get("keys", ())
        ]

    @property
    def dropped(self) -> int:
        return self.dropped_before + (self.ring.dropped if self.ring else 0)

    def set_capture(self, capture: Capture, secret: bytes) -> Ring | None:
        """Capture by this policy from now on; returns a ring that must still be written out."""
        if self._capture == capture:
            return None
        before, self._capture = self.ring, capture
        self.sample = capture.sample if capture.is_on else 0.0
        self.dropped_before = self.dropped
        policy = Policy(self.package.signature, capture.columns, secret)
        self.ring = Ring(policy) if self.sample > 0 else None
        return before

    def check_keys(self, rows: list[dict[str, Any]]) -> None:
        """Raise Problem when a column that names rows is of another type than it says."""
        for name, types in self._keys:
            for number, row in enumerate(rows):
                value = row.get(name)
                kind = type(value)
                if value is None or (kind is str and kind in types):
                    continue
                if kind is int and kind in types and -INT64 <= value < INT64:
                    continue
                said = "whole number" if types == (int,) else "text"
                raise wrong_row(number, name, f"{name} is a {said}; send one.")

    def state(self) -> dict[str, str]:
        """What `status.json` says of it."""
        native = self.native
        is_up = native is None or native.ready.is_set()
        return {
            "state": "ready" if is_up else "failed",
            "engine": self.predictor.label,
            "message": "" if native is None else native.message,
        }


def wrong_row(row: int, field: str, text: str) -> Problem:
    errors = [{"row": row, "field": field, "message": text}]
    return Problem(400, f"Row {row}: {text}", errors=errors)


class Endpoint:
    """One address: who may call it, and which release answers."""

    def __init__(self, spec: EndpointSpec, releases: Mapping[str, Release]) -> None:
        self.spec, self.uuid, self.path = spec, spec.uuid, spec.path
        self.keys, self.limits, self.sticky = spec.keys, spec.limits, spec.sticky
        self.releases = {
            each.slug: releases[each.uuid] for each in spec.releases if each.uuid in releases
        }
        self.slugs = frozenset(each.slug for each in spec.releases)
        # One card for each percent. A release that could not be loaded leaves its cards empty.
        self._cards: list[Release | None] = [
            releases.get(each.uuid) for each in spec.releases for _ in range(each.weight)
        ]
        self._deck: list[Release | None] = []

    def admit(self, authorization: bytes, others: Mapping[str, str]) -> None:
        """Raise Problem unless the header carries a key of this endpoint's that has not ended.

        `others` maps the digests of all endpoints' keys: a key of another one is told so.
        """
        if not authorization:
            text = "Send the endpoint's key: “Authorization: Bearer ptk_…”."
            raise Problem(401, text, headers=UNAUTHORISED)
        if authorization[:7].lower() != b"bearer ":
            text = "The key goes into “Authorization: Bearer ptk_…”; this is another scheme."
            raise Problem(401, text, headers=UNAUTHORISED)
        digest = sha256(authorization[7:].strip()).hexdigest()
        ends = self.keys.get(digest)
        if ends is None:
            if digest in others:
                text = "This key opens another endpoint. Use one of this endpoint's."
                raise Problem(403, text)
            text = "There is no such key, or it was revoked. Ask the project's owners for one."
            raise Problem(401, text, headers=UNAUTHORISED)
        if ends <= time.time():
            text = "This key has expired. Ask the project's owners for a new one."
            raise Problem(401, text, headers=UNAUTHORISED)

    def choose(self, pin: bytes, sticky: bytes, rows: list[dict[str, Any]]) -> Release:
        """The release that answers: the pinned one, the one the sticky value falls to, or the next
        card of a shuffled deck, which keeps every hundred requests at the weights exactly."""
        if pin:
            return self._pinned(pin.decode("latin-1"))
        cards = self._cards
        if not cards:
            raise busy(503, "No release of this endpoint has any traffic. Give one a weight.")
        if sticky or self.sticky:
            value = sticky or self._sticky_value(rows)
            if value:
                place = int.from_bytes(blake2b(value, digest_size=8).digest(), "big") % 10_000
                return self._loaded(cards[place // 100])
        if not self._deck:
            self._deck = random.sample(cards, len(cards))
        return self._loaded(self._deck.pop())

    def _loaded(self, release: Release | None) -> Release:
        if release is None:
            raise busy(503, "The release that should answer could not be loaded. Try again later.")
        return release

    def _pinned(self, slug: str) -> Release:
        if slug not in self.slugs:
            text = f"X-Portolan-Release: this endpoint has no release called {slug!r}."
            raise Problem(404, text)
        return self._loaded(self.releases.get(slug))

    def _sticky_value(self, rows: list[dict[str, Any]]) -> bytes:
        """The first row's: a request goes to one release."""
        value = rows[0].get(self.sticky) if rows and type(rows[0]) is dict else None
        return b"" if value is None else str(value).encode()
