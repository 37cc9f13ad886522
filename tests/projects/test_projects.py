"""Projects, who is in them, and the rule that there is always an owner."""

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404
from django.test import Client

from apps.accounts.models import User
from apps.accounts.tokens import authenticate_token
from apps.core.errors import Conflict
from apps.events.models import Event
from apps.projects import services
from apps.projects.models import Member, Project, Role
from tests.factories import make_member, make_project, make_user

pytestmark = pytest.mark.django_db
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


@pytest.fixture
def owner(project: Project) -> User:
    return make_member(project, Role.OWNER)


@pytest.fixture
def project() -> Project:
    return make_project(slug="reef", name="Reef")


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user, backend=BACKEND)
    return client


def test_project_by_the_form_and_by_rest_is_the_same() -> None:
    user = make_user()
    client = browser(user)
    page = client.post("/projects/new/", {"name": "Zürich Nord"})
    assert page["Location"] == "/p/zurich-nord/"
    made = client.post("/api/v1/projects/", {"name": "Süd"}, content_type="application/json")
    assert made.json()["slug"] == "sud"
    assert set(Member.objects.values_list("user_id", "role")) == {(user.pk, "owner")}
    told = Event.objects.filter(verb="project.created", actor_id=user.uuid)
    assert set(told.values_list("after__slug", flat=True)) == {"zurich-nord", "sud"}


@pytest.mark.parametrize(
    "body", [{"name": ""}, {"name": "A", "slug": "reef"}, {"name": "A", "slug": "site"}]
)
def test_form_and_rest_refuse_the_same_project(project: Project, body: dict[str, str]) -> None:
    client = browser(make_user())
    page = client.post("/projects/new/", body)
    rest = client.post("/api/v1/projects/", body, content_type="application/json")
    assert rest.status_code == 400
    assert {each["field"] for each in rest.json()["errors"]} == set(page.context["form"].errors)
    assert Project.objects.get() == project


def test_last_owner_stays(project: Project, owner: User) -> None:
    member = Member.objects.get(user=owner)
    for leave in (
        lambda: services.remove_member(member, user=owner),
        lambda: services.change_role(member, role=Role.VIEWER, user=owner),
    ):
        with pytest.raises(Conflict, match="last owner"):
            leave()
    second = services.add_member(
        project, email=make_user(email="two@x.ch").email, role=Role.OWNER, user=owner
    )
    services.remove_member(member, user=owner)
    assert list(Member.objects.all()) == [second]


def test_token_of_the_project_cannot_become_its_owner(project: Project, owner: User) -> None:
    services.create_project_token(
        project, name="ci", role=Role.VIEWER, scopes=["read"], days=1, user=owner
    )
    robot = Member.objects.get(user__is_service=True)
    client = browser(owner)
    path = f"/p/reef/members/{robot.uuid}/role/"
    assert client.post(path, {"role": "owner"}).status_code == 404
    rest = f"/api/v1/members/{robot.uuid}/"
    answer = client.patch(rest, {"role": "owner"}, content_type="application/json")
    assert answer.status_code == 404
    with pytest.raises(Conflict, match="token"):
        services.change_role(robot, role=Role.OWNER, user=owner)
    robot.refresh_from_db()
    assert robot.role == Role.VIEWER


def test_change_of_role_is_told_with_before_and_after(project: Project, owner: User) -> None:
    member = Member.objects.get(user=make_member(project, Role.VIEWER))
    services.change_role(member, role=Role.CONTRIBUTOR, user=owner)
    event = Event.objects.get(verb="member.role_changed")
    assert (event.before, event.after) == ({"role": "viewer"}, {"role": "contributor"})
    assert (event.actor_id, event.project_id) == (owner.uuid, project.uuid)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.CONTRIBUTOR])
def test_only_owners_change_who_is_in(project: Project, owner: User, role: Role) -> None:
    user = make_member(project, role)
    with pytest.raises(PermissionDenied):
        services.add_member(project, email=owner.email, role=Role.VIEWER, user=user)
    with pytest.raises(PermissionDenied):
        services.remove_member(Member.objects.get(user=owner), user=user)
    with pytest.raises(Http404):
        services.get_project(make_user(), project.slug)


def test_nobody_is_added_twice_or_without_an_account(project: Project, owner: User) -> None:
    for email, says in ((owner.email.upper(), "member already"), ("no@x.ch", "has an account")):
        with pytest.raises(ValidationError, match=says):
            services.add_member(project, email=email, role=Role.VIEWER, user=owner)


def test_archived_project_is_read_and_not_changed(project: Project, owner: User) -> None:
    client = browser(owner)
    client.post("/p/reef/archive/", {"archive": "1"})
    assert client.get("/p/reef/").status_code == 200
    launch = {"project": "reef", "seconds": 0}
    answer = client.post("/api/v1/target-checks/", launch, content_type="application/json")
    assert (answer.status_code, answer.json()["status"]) == (409, 409)
    with pytest.raises(Conflict, match="Unarchive"):
        services.update_project(project.__class__.objects.get(), name="New", user=owner)
    client.post("/p/reef/archive/", {})
    assert services.update_project(Project.objects.get(), name="New", user=owner).name == "New"


def test_revoked_project_token_is_dead_and_leaves_no_member(project: Project, owner: User) -> None:
    token, text = services.create_project_token(
        project, name="ci", role=Role.CONTRIBUTOR, scopes=["read"], days=1, user=owner
    )
    assert authenticate_token(text) == token
    assert browser(owner).post(f"/p/reef/tokens/{token.uuid}/revoke/").status_code == 302
    assert authenticate_token(text) is None
    assert Member.objects.get().user == owner


def test_site_admin_may_take_over_and_is_seen_to(project: Project, owner: User) -> None:
    admin = make_user(is_site_admin=True)
    client = browser(admin)
    assert client.get("/p/reef/").status_code == 404
    assert client.post("/site/projects/reef/take/").status_code == 302
    assert client.get("/p/reef/").status_code == 200
    assert "took_ownership" in Event.objects.latest("pk").verb
    with pytest.raises(PermissionDenied):
        services.take_ownership(project, user=make_user())
