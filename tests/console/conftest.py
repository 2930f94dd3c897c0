import os
import shutil
from datetime import UTC, datetime

import pytest
from conftest import STORE
from console.visitor import TOKEN, Visitor
from hubtest import Calls, Client


@pytest.fixture
def hub(make_hub):
    return make_hub(admin_token=TOKEN)


@pytest.fixture
def visitor(hub):
    return Visitor(hub)


@pytest.fixture
def evening(hub):
    """A meeting of today with three who came, one who is not known, and one wrong name."""
    calls = Calls(Client(hub))
    for number, name in enumerate(("Ada", "Grace", "Edsger"), start=1):
        calls.student(f"a{number}", email=f"{name.lower()}@example.edu", first_name=name)
    calls.now = _today()
    calls.event(date=calls.now)
    for number in (1, 2):
        calls.attend(f"a{number}")
    calls.attend("a9")
    calls.attend("a3", "Weekly Meetting")
    return calls


def _today():
    return datetime.now(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")


CHROMIUM = "/usr/bin/chromium"


@pytest.fixture(scope="module")
def browser():
    """Debian's Chromium. It is asked for on one Python alone: where playwright is installed. As long as
    it is open, playwright's event loop runs on this thread, and no other can.
    """
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if STORE != "sqlite":
        pytest.skip("browsers look at a hub over SQLite")
    if shutil.which(CHROMIUM) is None:
        if os.environ.get("HUB_REQUIRE_DB"):
            pytest.fail("Chromium is not here, and HUB_REQUIRE_DB is set")
        pytest.skip("Chromium is not here (apt install chromium)")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--no-sandbox",  # the tests may be root's
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
            ],
        )
        yield browser
        browser.close()
