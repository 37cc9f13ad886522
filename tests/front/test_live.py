"""What the scripts do, in Chromium: live parts, dialogs, keys, themes, copying."""

import re

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect

from apps.jobs.models import Job, State
from tests.front.pages import World
from tests.front.visits import NARROW, Site

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def open_running(site: Site) -> tuple[World, Page]:
    world = World()
    return world, site.open(reverse("jobs:detail", args=[world.running.pk]), world.admin)


def end(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(
        state=State.SUCCEEDED, next_poll_at=None, finished_at=timezone.now()
    )


def test_live_part_follows_the_job_and_stops_asking_when_it_ended(site: Site) -> None:
    world, page = open_running(site)
    expect(page.locator("#live")).to_contain_text(re.compile(r"Live, \d\d:\d\d UTC"))
    end(world.running)
    expect(page.locator("h1")).to_contain_text("Succeeded")
    expect(page.locator("#status")).not_to_have_attribute("hx-trigger", re.compile("."))


def test_live_part_says_when_the_portal_is_gone_and_asks_less_often(site: Site) -> None:
    _, page = open_running(site)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.route("**/status/", lambda route: route.fulfill(status=503, body="<h1>no</h1>"))
    expect(page.locator("#live")).to_contain_text("Not live since")
    expect(page.locator("#live-said")).to_contain_text("does not answer")
    expect(page.locator("h1")).to_contain_text("Running")
    page.wait_for_timeout(3000)
    assert sum("status" in url for url in asked) <= 3
    page.unroute("**/status/")
    # By now it may ask only every eight seconds.
    expect(page.locator("#live")).to_contain_text("Live,", timeout=20_000)


def test_hidden_page_does_not_ask(site: Site) -> None:
    _, page = open_running(site)
    expect(page.locator("#live")).to_be_visible()
    page.evaluate("Object.defineProperty(document, 'hidden', {get: () => true})")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(2500)
    assert asked == []


def test_live_part_of_a_signed_out_person_leads_to_sign_in(site: Site) -> None:
    _, page = open_running(site)
    page.context.clear_cookies()
    page.wait_for_url("**/account/login/?next=/jobs/**")


def test_stop_works_by_the_inherited_csrf_header_alone(site: Site) -> None:
    world, page = open_running(site)
    page.evaluate("document.querySelector('#status [name=csrfmiddlewaretoken]').remove()")
    page.click("#status .btn-danger")
    expect(page.locator("h1")).to_contain_text("Stopping")
    assert Job.objects.get(pk=world.running.pk).cancel_requested_at


def test_refusal_is_said_on_the_page_and_swaps_nothing(site: Site) -> None:
    world, page = open_running(site)
    page.route("**/status/", lambda route: route.abort())
    end(world.running)
    page.click("#status .btn-danger")
    expect(page.get_by_role("alert")).to_contain_text("This job has ended already")
    expect(page.locator("h1")).to_contain_text("Running")


def test_confirmation_can_be_refused_and_given(site: Site) -> None:
    world = World()
    page = site.open(reverse("projects:members", args=[world.project.slug]), world.admin)
    row = page.locator("tbody tr", has_text=world.person.email)
    row.get_by_role("button", name="Remove").click()
    page.keyboard.press("Escape")
    assert world.project.members.count() == 2
    row.get_by_role("button", name="Remove").click()
    assert site.barriers(page) == []
    page.click("[data-yes]")
    expect(row).to_have_count(0)


def test_theme_is_remembered_and_painted_by_the_server(site: Site) -> None:
    page = site.open("/", World().admin, theme="light")
    page.click("[data-theme-toggle]")
    body = page.request.get("/").text()
    assert 'data-theme="dark"' in body
    page.reload()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(13, 18, 23)"


def test_single_keys_work_and_can_be_switched_off(site: Site) -> None:
    page = site.open("/", World().admin)
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.name") == "filter"
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    page.uncheck("#keys-on")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_hidden()


def test_project_switcher_lists_the_projects_once_opened(site: Site) -> None:
    world = World()
    page = site.open(reverse("projects:members", args=[world.project.slug]), world.admin)
    assert page.locator("#switcher .list a").count() == 0
    page.click(".p-switch")
    expect(page.locator("#switcher .list a")).to_have_count(2)
    assert site.barriers(page) == []


def test_phone_opens_the_navigation_and_names_what_cells_say(site: Site) -> None:
    page = site.open("/activity/", World().admin, width=NARROW)
    expect(page.locator(".p-nav")).to_be_hidden()
    page.click(".p-menu-btn")
    expect(page.locator(".p-nav")).to_be_visible()
    assert site.barriers(page) == []
    page.keyboard.press("Escape")
    cell = page.locator("tbody tr").first.locator("td[data-label=Target]")
    expect(cell).to_be_in_viewport()


def test_secret_is_copied(site: Site) -> None:
    page = site.open(reverse("accounts:tokens"), World().admin)
    page.fill("[name=name]", "laptop")
    page.click("main .btn-primary")
    page.click("[data-copy=secret]")
    expect(page.locator("[data-copy=secret]")).to_contain_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == page.inner_text("#secret")


def test_log_follows_its_end_until_somebody_reads(site: Site) -> None:
    _, page = open_running(site)
    grow = "document.getElementById('log').append('line\\n'.repeat(99))"
    left = "(log => log.scrollHeight - log.scrollTop - log.clientHeight)(window.log)"
    page.evaluate(grow)
    page.wait_for_function(f"{left} < 2")
    page.evaluate("document.getElementById('log').scrollTop = 0")
    expect(page.get_by_role("button", name="Follow")).to_have_attribute("aria-pressed", "false")
    page.evaluate(grow)
    assert page.evaluate("document.getElementById('log').scrollTop") == 0
    page.get_by_role("button", name="Follow").click()
    page.wait_for_function(f"{left} < 2")


def test_times_go_on_counting(site: Site) -> None:
    world = World()
    page = site.profile(world.admin).new_page()
    page.clock.install()
    page.goto(reverse("overview:project", args=[world.project.slug]))
    page.clock.fast_forward(2 * 3600 * 1000)
    expect(page.locator("time").first).to_have_text("2 h ago")
