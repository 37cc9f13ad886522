"""Pages of a project's people, tokens and settings; and of all projects, for site admins."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Count, Prefetch, QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.accounts.models import ApiToken
from apps.core.errors import Conflict
from apps.core.forms import add_errors
from apps.core.listing import list_page
from apps.core.requests import SignedIn
from apps.projects import services
from apps.projects.forms import (
    MemberForm,
    NewProjectForm,
    ProjectTokenForm,
    RoleForm,
    SettingsForm,
)
from apps.projects.lists import MEMBER_LIST, PROJECT_LIST
from apps.projects.models import Member, Project, Role
from apps.projects.services import get_project, role_in

BOTH = ["GET", "POST"]


def _people(project: Project) -> QuerySet[Member]:
    """Its members without the accounts behind its tokens: those are on the page of tokens."""
    return Member.objects.filter(project=project, user__is_service=False).select_related("user")


def _page(request: SignedIn, project: Project, template: str, **context: Any) -> HttpResponse:
    role = role_in(request.user, project)
    return render(request, template, {"project": project, "role": role, **context})


@require_http_methods(BOTH)
def new(request: SignedIn) -> HttpResponse:
    form = NewProjectForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            project = services.create_project(user=request.user, **form.cleaned_data)
        except (ValidationError, Conflict) as error:
            add_errors(form, error)
        else:
            return redirect("overview:project", slug=project.slug)
    return render(request, "projects/new.html", {"form": form})


@require_http_methods(BOTH)
def members(request: SignedIn, slug: str) -> HttpResponse:
    """Who is in the project; owners add people here."""
    project = get_project(request.user, slug)
    form = MemberForm(request.POST or None)
    if request.method == "POST":
        services.require_role(request.user, project, Role.OWNER)
        if form.is_valid():
            try:
                services.add_member(project, user=request.user, **form.cleaned_data)
            except (ValidationError, Conflict) as error:
                add_errors(form, error)
            else:
                return redirect("projects:members", slug=slug)
    page = list_page(MEMBER_LIST, _people(project), request.GET)
    return _page(request, project, "projects/members.html", form=form, page=page, roles=Role)


@require_POST
def change_role(request: SignedIn, slug: str, uuid: str) -> HttpResponse:
    project = get_project(request.user, slug, role=Role.OWNER)
    member = get_object_or_404(_people(project), uuid=uuid)
    form = RoleForm(request.POST)
    if form.is_valid():
        services.change_role(member, role=Role(form.cleaned_data["role"]), user=request.user)
        messages.success(request, f"{member.user} is {member.role} now.")
    return redirect("projects:members", slug=slug)


@require_POST
def remove_member(request: SignedIn, slug: str, uuid: str) -> HttpResponse:
    project = get_project(request.user, slug)
    member = get_object_or_404(_people(project), uuid=uuid)
    services.remove_member(member, user=request.user)
    if member.user_id == request.user.pk:
        return redirect("overview:home")
    messages.success(request, f"{member.user} is no longer a member.")
    return redirect("projects:members", slug=slug)


@never_cache
@require_http_methods(BOTH)
def tokens(request: SignedIn, slug: str) -> HttpResponse:
    """The project's tokens, and the form for a new one, whose text is on this page alone."""
    project = get_project(request.user, slug, role=Role.OWNER)
    form = ProjectTokenForm(request.POST or None)
    text = None
    if request.method == "POST" and form.is_valid():
        asked = {**form.cleaned_data, "role": Role(form.cleaned_data["role"])}
        try:
            _, text = services.create_project_token(project, user=request.user, **asked)
        except (ValidationError, Conflict) as error:
            add_errors(form, error)
        else:
            form = ProjectTokenForm()
    found = ApiToken.objects.filter(user__is_service=True, user__memberships__project=project)
    rows = found.select_related("user", "created_by")
    return _page(request, project, "projects/tokens.html", form=form, tokens=rows, text=text)


@require_POST
def revoke_token(request: SignedIn, slug: str, uuid: str) -> HttpResponse:
    project = get_project(request.user, slug, role=Role.OWNER)
    found = ApiToken.objects.filter(user__is_service=True, user__memberships__project=project)
    token = get_object_or_404(found, uuid=uuid)
    services.revoke_project_token(project, token, user=request.user)
    messages.success(request, f"{token.name} is revoked.")
    return redirect("projects:tokens", slug=slug)


@require_http_methods(BOTH)
def settings(request: SignedIn, slug: str) -> HttpResponse:
    project = get_project(request.user, slug, role=Role.OWNER)
    now = {"name": project.name, "description": project.description}
    form = SettingsForm(request.POST or None, initial=now)
    if request.method == "POST" and form.is_valid():
        try:
            services.update_project(project, user=request.user, **form.cleaned_data)
        except (ValidationError, Conflict) as error:
            add_errors(form, error)
        else:
            messages.success(request, "Saved.")
            return redirect("projects:settings", slug=slug)
    return _page(request, project, "projects/settings.html", form=form)


@require_POST
def archive(request: SignedIn, slug: str) -> HttpResponse:
    """Archive the project, or bring it back: the other of what it is."""
    project = get_project(request.user, slug, role=Role.OWNER)
    services.set_archived(project, is_archived="archive" in request.POST, user=request.user)
    return redirect("projects:settings", slug=slug)


@require_GET
def site_list(request: SignedIn) -> HttpResponse:
    """Every project by name, owner and size, without its contents: for site admins."""
    if not request.user.is_site_admin:
        raise Http404
    owners = Member.objects.filter(role=Role.OWNER).select_related("user")
    projects = Project.objects.annotate(member_count=Count("members")).prefetch_related(
        Prefetch("members", queryset=owners, to_attr="owners")
    )
    page = list_page(PROJECT_LIST, projects, request.GET)
    return render(request, "projects/site_list.html", {"page": page})


@require_POST
def take(request: SignedIn, slug: str) -> HttpResponse:
    """Become owner of a project whose owners have gone."""
    if not request.user.is_site_admin:
        raise Http404
    project = get_object_or_404(Project, slug=slug)
    services.take_ownership(project, user=request.user)
    return redirect("projects:members", slug=slug)
