"""What the local engine does with the fields of a deployment: a part of its card."""

from collections.abc import Mapping

from workers.engines.base import HONOURED, FieldSupport, JobSupport, Support

NATIVE_ONLY = FieldSupport(
    Support.APPROXIMATES,
    "for native releases; ONNX releases answer within the request and keep no queue",
)
ROUTE_JOBS: Mapping[str, JobSupport] = {
    "deploy": JobSupport(
        "workers.engines.local.routes:RouteJobs",
        {
            "endpoint": HONOURED,
            "number": HONOURED,
            "snapshot": HONOURED,
            "seconds": HONOURED,
            "definition": HONOURED,
            "definition.model": HONOURED,
            "definition.keys": HONOURED,
            "definition.sticky": HONOURED,
            "definition.capture": HONOURED,
            "definition.capture.is_on": HONOURED,
            "definition.capture.sample": HONOURED,
            "definition.capture.columns": HONOURED,
            "definition.limits": HONOURED,
            "definition.limits.rows": HONOURED,
            "definition.limits.body_bytes": HONOURED,
            "definition.limits.queue": NATIVE_ONLY,
            "definition.limits.deadline_seconds": NATIVE_ONLY,
        },
    )
}
