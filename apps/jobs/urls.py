from django.urls import path

from apps.jobs import views

app_name = "jobs"
urlpatterns = [
    path("activity/", views.activity, name="activity"),
    path("p/<slug:slug>/activity/", views.project_activity, name="project_activity"),
    path("p/<slug:slug>/checks/new/", views.new_check, name="new_check"),
    path("jobs/<uuid:pk>/", views.detail, name="detail"),
    path("jobs/<uuid:pk>/status/", views.status, name="status"),
    path("jobs/<uuid:pk>/log/", views.log, name="log"),
    path("jobs/<uuid:pk>/cancel/", views.cancel, name="cancel"),
]
