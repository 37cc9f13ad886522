"""What every engine must do, whatever it runs on. One subclass for each kind of job it runs."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any
from uuid import uuid4

import pytest

from runtime.definitions import KINDS, document_fields, field_names
from tests.servers import wait_until
from workers.engines import check_target, open_engine
from workers.engines.base import (
    EngineContext,
    EngineInfo,
    JobEngine,
    Observation,
    Support,
)


class EngineContract:
    """Subclasses say which engine and kind, and how to make it work, hold on, and be counted."""

    info: EngineInfo
    kind: str
    seconds = 30.0

    @pytest.fixture
    def context(self) -> EngineContext:
        raise AssertionError("say how the engine is opened")

    def quick(self) -> Mapping[str, Any]:
        """A spec that ends well and soon."""
        raise AssertionError("give a spec")

    def lasting(self) -> Mapping[str, Any]:
        """A spec that goes on until it is cancelled."""
        raise AssertionError("give a spec")

    def starts(self, context: EngineContext, job_id: str) -> int:
        """How often the job was really started."""
        raise AssertionError("count the starts")

    def open(self, context: EngineContext) -> JobEngine:
        """A new engine, as another worker would open it."""
        return open_engine(self.info, self.kind, context)

    def ended(self, context: EngineContext, external_id: str) -> Observation:
        return wait_until(  # type: ignore[no-any-return]
            lambda: seen if (seen := self.open(context).poll(external_id)).is_final else None,
            seconds=self.seconds,
            what="the job to end",
        )

    def test_every_field_of_every_kind_is_declared(self) -> None:
        for kind, support in self.info.jobs.items():
            assert set(support.fields) == field_names(kind) | document_fields(kind), kind
            for name, declared in support.fields.items():
                assert declared.support is Support.HONOURS or declared.note, (kind, name)
        assert fields(KINDS[self.kind])

    def test_job_runs_and_says_what_it_made(self, context: EngineContext) -> None:
        job_id = str(uuid4())
        done = self.open(context).submit(job_id, self.quick(), "")
        seen = self.ended(context, done.external_id)
        assert seen.state == "succeeded", seen
        assert seen.outputs

    def test_submitting_again_starts_nothing_again(self, context: EngineContext) -> None:
        job_id = str(uuid4())
        first = self.open(context).submit(job_id, self.quick(), "")
        second = self.open(context).submit(job_id, self.quick(), "")
        self.ended(context, first.external_id)
        third = self.open(context).submit(job_id, self.quick(), "")
        assert first.external_id == second.external_id == third.external_id
        assert self.ended(context, first.external_id).state == "succeeded"
        assert self.starts(context, job_id) == 1

    def test_cancel_ends_it(self, context: EngineContext) -> None:
        job_id = str(uuid4())
        done = self.open(context).submit(job_id, self.lasting(), "")
        assert not self.open(context).poll(done.external_id).is_final
        self.open(context).cancel(done.external_id)
        assert self.ended(context, done.external_id).state == "cancelled"

    def test_cancel_of_what_ended_or_never_was_does_nothing(self, context: EngineContext) -> None:
        job_id = str(uuid4())
        engine = self.open(context)
        engine.cancel(str(uuid4()))
        done = engine.submit(job_id, self.quick(), "")
        before = self.ended(context, done.external_id)
        engine.cancel(done.external_id)
        assert self.ended(context, done.external_id) == before

    def test_many_are_polled_as_one_is(self, context: EngineContext) -> None:
        engine = self.open(context)
        ids = [engine.submit(str(uuid4()), self.quick(), "").external_id for _ in range(3)]
        alone = {each: self.ended(context, each) for each in ids}
        assert engine.poll_many(ids) == alone

    def test_log_read_in_pieces_is_whole(self, context: EngineContext) -> None:
        engine = self.open(context)
        done = engine.submit(str(uuid4()), self.quick(), "")
        self.ended(context, done.external_id)
        text, cursor = "", ""
        while (read := engine.logs(done.external_id, cursor))[0]:
            assert read[1] != cursor
            text, cursor = text + read[0], read[1]
        assert engine.logs(done.external_id, cursor) == ("", cursor)
        assert (
            engine.logs(done.external_id, "")[0]
            == text[: len(engine.logs(done.external_id, "")[0])]
        )

    def test_target_can_be_checked(self, context: EngineContext) -> None:
        assert check_target(self.info, context).message
