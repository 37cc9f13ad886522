"""REST's table of contents: every resource under /api/v1/, in lifecycle order."""

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from apps.accounts import api as accounts
from apps.core.reference import SchemaViewSet, docs
from apps.deployments import api as deployments
from apps.experiments import api as experiments
from apps.jobs import api as jobs
from apps.monitoring import api as monitoring
from apps.notify import api as notify
from apps.overview import api as overview
from apps.overview import trace_api
from apps.pipelines import api as pipelines
from apps.projects import api as projects
from apps.registry import api as registry
from apps.schedules import api as schedules
from apps.sources import api as sources
from apps.targets import api as targets

router = SimpleRouter()
for resource in (
    accounts,
    projects,
    notify,
    targets,
    jobs,
    schedules,
    sources,
    pipelines,
    experiments,
    registry,
    deployments,
    monitoring,
    overview,
):
    resource.register(router)

me = accounts.MeViewSet.as_view({"get": "retrieve", "patch": "partial_update"})
urlpatterns = [
    path("me/", me, name="me"),
    path("", include(trace_api.urlpatterns)),
    path("", include(router.urls)),
    path("schema/", SchemaViewSet.as_view({"get": "retrieve"}), name="schema"),
    path("docs/", docs, name="docs"),
]
