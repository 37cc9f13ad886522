"""Every address of the portal."""

from django.urls import include, path

urlpatterns = [
    path("account/", include("allauth.urls")),
    path("api/v1/", include("portal.api")),
    path("", include("apps.accounts.urls")),
    path("", include("apps.projects.urls")),
    path("", include("apps.notify.urls")),
    path("", include("apps.targets.urls")),
    path("", include("apps.jobs.urls")),
    path("", include("apps.overview.urls")),
]
