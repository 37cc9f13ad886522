from django.urls import path

from apps.notify import views

app_name = "notify"
urlpatterns = [
    path("p/<slug:slug>/timeline/", views.timeline, name="timeline"),
    path("p/<slug:slug>/timeline/export/", views.timeline_export, name="timeline_export"),
    path("site/audit/", views.audit, name="audit"),
    path("site/audit/export/", views.audit_export, name="audit_export"),
]
