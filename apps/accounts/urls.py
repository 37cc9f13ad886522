"""Our own pages of people. allauth's are in `sign_in_urls`."""

from django.urls import path, re_path

from apps.accounts import views

app_name = "accounts"
urlpatterns = [
    path("account/invitation/<str:text>/", views.accept, name="accept"),
    path("account/link/<str:token>/", views.sign_in_link, name="link"),
    path("me/", views.profile, name="profile"),
    path("me/tokens/", views.tokens, name="tokens"),
    path("me/tokens/<uuid:uuid>/revoke/", views.revoke, name="revoke_token"),
    path("site/people/", views.people, name="people"),
    path("site/people/invite/", views.invite, name="invite"),
    path("site/people/<uuid:uuid>/", views.person, name="person"),
    path("site/people/<uuid:uuid>/resend/", views.resend, name="resend"),
    re_path(
        rf"^site/people/(?P<uuid>[0-9a-f-]{{36}})/(?P<action>{'|'.join(views.ACTIONS)})/$",
        views.change,
        name="change",
    ),
]
