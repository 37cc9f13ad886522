"""Every page, in both themes, on a desk and on a phone: axe, console, CSP, sideways scroll."""

import pytest
from django.urls import reverse

from tests.front.pages import SIGNED_IN, SIGNED_OUT, World
from tests.front.visits import NARROW, WIDE, Site

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
LOOKS = [("light", WIDE), ("light", NARROW), ("dark", WIDE), ("dark", NARROW)]


@pytest.mark.parametrize(("theme", "width"), LOOKS)
def test_every_page_is_accessible_and_fits(site: Site, theme: str, width: int) -> None:
    world = World()
    page = site.open("/", world.admin, theme=theme, width=width)  # type: ignore[arg-type]
    addresses = [world.address(path) for path in SIGNED_IN]
    flaws = {path: site.flaws(page, path) for path in addresses}
    flaws["404"] = site.flaws(page, "/no/such/page/", status=404)
    assert {path: found for path, found in flaws.items() if found} == {}


@pytest.mark.parametrize(("theme", "width"), LOOKS)
def test_signed_out_pages_are_accessible_and_fit(site: Site, theme: str, width: int) -> None:
    page = site.open(SIGNED_OUT[0], theme=theme, width=width)  # type: ignore[arg-type]
    flaws = {path: site.flaws(page, path) for path in SIGNED_OUT}
    assert {path: found for path, found in flaws.items() if found} == {}


def test_wrong_form_begins_at_what_is_wrong_and_keeps_what_was_typed(site: Site) -> None:
    page = site.open(reverse("projects:new"), World().admin)
    page.fill("[name=slug]", "kept")
    page.click("main .btn-primary")
    assert page.evaluate("'summary' in document.activeElement.dataset")
    assert page.input_value("[name=slug]") == "kept"
    page.click("[data-summary] a")
    assert page.evaluate("document.activeElement.name") == "name"
    described = page.get_attribute("[name=name]", "aria-describedby") or ""
    assert "required" in page.inner_text(f"#{described.split()[-1]}")
    assert site.barriers(page) == []
