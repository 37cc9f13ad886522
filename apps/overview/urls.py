from django.urls import path

from apps.overview import backup_views, views

app_name = "overview"
urlpatterns = [
    path("", views.home, name="home"),
    path("p/<slug:slug>/", views.project, name="project"),
    path("site/backups/", backup_views.backups, name="backups"),
    path("site/backups/new/", backup_views.new_backup, name="new_backup"),
]
