"""Questions about data, answered by warm processes that have the libraries loaded."""

import atexit
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

from runtime.warm import ISOLATED, NoAnswerError, WarmPool
from workers.engines.base import EngineContext, EngineError, Observation, Submission
from workers.engines.local.kinds import refuse_unconfined
from workers.engines.local.processes import ROOT

CHILD = str(ROOT / "runtime" / "questions" / "child.py")
WARM = 2


@dataclass(frozen=True)
class Question:
    """What the child is asked, and what it may read for it. `body` goes to the answer's module.

    `memory_mb` is a backstop: the module gives its DuckDB a `memory_limit` below that.
    """

    body: Mapping[str, Any]
    readable: Sequence[str] = ()
    has_network: bool = False
    memory_mb: int = 1024


@cache
def question_pool(folder: str) -> WarmPool:
    """The worker's warm processes for questions. Each question is answered by a fork of one."""
    pool = WarmPool(folder, (*ISOLATED, CHILD), size=WARM, is_forking=True)
    atexit.register(pool.close)
    threading.Thread(target=pool.warm_up, name="warm-questions", daemon=True).start()
    return pool


class Questions(ABC):
    """Base of every kind of question (`is_interactive`). `name` is its module in
    `runtime/questions`.

    What that module refuses (`JobError`) comes back as the outputs `{"error": {"message", …}}` of
    a question that has succeeded, so that the service can say which field is at fault.
    """

    name: ClassVar[str]
    seconds: ClassVar[float] = 10.0

    def __init__(self, context: EngineContext) -> None:
        self.context = context

    @abstractmethod
    def question(self, spec: Mapping[str, Any]) -> Question:
        """What to ask for this spec."""

    def submit(self, job_id: str, spec: Mapping[str, Any], cursor: str) -> Submission:
        refuse_unconfined(self.context)
        asked = self.question(spec)
        pool = question_pool(str(self.context.var_dir / "jobs"))
        put = {
            "name": self.name,
            "question": dict(asked.body),
            "readable": list(asked.readable),
            "has_network": asked.has_network,
            "memory_mb": asked.memory_mb,
        }
        try:
            said = pool.ask(put, seconds=self.seconds)
        except NoAnswerError as error:
            raise EngineError(f"{error} Ask for less, or try again.") from None
        return Submission(job_id, observation=Observation("succeeded", "", said))

    def poll(self, external_id: str) -> Observation:
        return Observation("failed", "The question was not answered. Ask again.")

    def poll_many(self, external_ids: Sequence[str]) -> dict[str, Observation]:
        return {each: self.poll(each) for each in external_ids}

    def cancel(self, external_id: str) -> None:  # noqa: B027
        """Nothing to stop: a question ends with its own deadline."""

    def logs(self, external_id: str, cursor: str) -> tuple[str, str]:
        return "", cursor
