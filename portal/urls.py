"""Every address of the portal."""

from django.urls import include, path, re_path

from apps.core import problems
from portal import health

handler400 = problems.bad_request
handler403 = problems.permission_denied
handler404 = problems.page_not_found
handler500 = problems.server_error

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("account/", include("apps.accounts.sign_in_urls")),
    path("api/v1/", include("portal.api")),
    re_path("^api/", problems.no_such_address),
    path("", include("apps.accounts.urls")),
    path("", include("apps.projects.urls")),
    path("", include("apps.notify.urls")),
    path("", include("apps.targets.urls")),
    path("", include("apps.jobs.urls")),
    path("", include("apps.overview.urls")),
]
