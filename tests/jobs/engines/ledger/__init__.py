"""A service that lasts: a folder in which every started job is one line of one file."""

from workers.engines.base import HONOURED, EngineInfo, JobSupport

INFO = EngineInfo(
    name="ledger",
    label="Ledger",
    jobs={
        "check": JobSupport(
            "tests.jobs.engines.ledger.engine:Ledger",
            {"seconds": HONOURED, "memory_mb": HONOURED},
        ),
        "probe": JobSupport(
            "tests.jobs.engines.ledger.engine:Oracle", {"topics": HONOURED}, is_interactive=True
        ),
    },
    check_path="tests.jobs.engines.ledger.engine:look",
    options={"folder": "where the ledger lies"},
    poll_seconds=0.1,
)
