from django.urls import path

from apps.projects import views

app_name = "projects"
urlpatterns = [
    path("projects/new/", views.new, name="new"),
    path("p/<slug:slug>/members/", views.members, name="members"),
    path("p/<slug:slug>/members/<uuid:uuid>/role/", views.change_role, name="change_role"),
    path("p/<slug:slug>/members/<uuid:uuid>/remove/", views.remove_member, name="remove_member"),
    path("p/<slug:slug>/tokens/", views.tokens, name="tokens"),
    path("p/<slug:slug>/tokens/<uuid:uuid>/revoke/", views.revoke_token, name="revoke_token"),
    path("p/<slug:slug>/settings/", views.settings, name="settings"),
    path("p/<slug:slug>/archive/", views.archive, name="archive"),
    path("site/projects/", views.site_list, name="site_list"),
    path("site/projects/<slug:slug>/take/", views.take, name="take"),
]
