from django.urls import path

from apps.targets import views

app_name = "targets"
urlpatterns = [
    path("targets/", views.target_list, name="list"),
    path("targets/<slug:slug>/", views.detail, name="detail"),
    path("targets/<slug:slug>/change/", views.change, name="change"),
]
