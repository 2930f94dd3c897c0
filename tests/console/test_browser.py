"""The console in Debian's Chromium: each screen in light and dark, on a phone, without JavaScript."""

from pathlib import Path

import pytest
from console.evening import TOKEN, Evening
from serving import Server, eventually

pytestmark = pytest.mark.xdist_group("browser")

AXE = Path(__file__).with_name("axe.min.js")
RUN = "axe.run().then(r => r.violations.map(v => [v.id, v.nodes.map(n => n.target[0])]))"
SCREENS = (
    "", "events", "events/new", "events/{m}", "events/{m}/absent", "events/{m}/add?q=ada",
    "events/{m}/edit", "events/merge?keep={m}&merge=6", "students", "students/1",
    "students/1/edit", "students/new", "students/codes?q=ada", "students/merge?keep=1&merge=61",
    "attendances/1", "waiting", "waiting/cause?waiting_for=student+a_number:a99999990&q=ada",
    "waiting/cause?waiting_for=event+name:Weekly+Meetting", "doubts", "deliveries", "imports",
    "reports", "reports/students", "sources", "setup", "door", "door/{m}",
)  # fmt: skip


@pytest.fixture(scope="module")
def evening(browser, tmp_path_factory):
    """A running hub with an evening in it."""
    folder = tmp_path_factory.mktemp("evening")
    server = Server(
        f"sqlite:///{folder / 'hub.db'}",
        cwd=folder,
        environment={"HUB_ADMIN_TOKEN": TOKEN, "HUB_TIME_ZONE": "America/Denver"},
    )
    held = Evening(server.url).hold()
    held.server = server
    yield held
    assert server.stop() == 0
    assert not [line for line in server.lines if "ERROR" in line or "Traceback" in line]


@pytest.fixture
def open_page(browser, evening):
    """Opens a page of a browser that is logged in; nothing may be said on its console."""
    made = []

    def open_page(token=TOKEN, **options):
        context = browser.new_context(**options)
        page = context.new_page()
        page.said = []
        page.on("console", lambda message: page.said.append((message.type, message.text)))
        page.on("pageerror", lambda error: page.said.append(("error", str(error))))
        page.on("request", lambda request: _require_own(page, evening.url, request.url))
        made.append(page)
        page.goto(f"{evening.url}/console/")
        page.fill("#token", token)
        page.click("main button")
        page.wait_for_load_state()
        return page

    yield open_page
    for page in made:
        said = [text for kind, text in page.said if kind in ("error", "warning")]
        page.context.close()
        assert said == []


def _require_own(page, url, asked):
    if not asked.startswith((url, "blob:", "data:")):
        page.said.append(("error", f"asked {asked}"))


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1200), ("dark", 1200), ("light", 360), ("dark", 360)]
)
def test_each_screen(open_page, evening, scheme, width):
    page = open_page(color_scheme=scheme, viewport={"width": width, "height": 740})
    for screen in SCREENS:
        path = f"/console/{screen.format(m=evening.meeting)}"
        assert page.goto(evening.url + path).status == 200, path
        assert page.locator("h1").count() == 1, path
        page.evaluate(AXE.read_text("utf-8"))
        assert page.evaluate(RUN) == [], path
        wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(wider) <= 0, path


def test_each_screen_has_the_same_without_javascript(open_page, evening):
    page, other = open_page(), open_page(java_script_enabled=False)
    for screen in SCREENS:
        path = f"{evening.url}/console/{screen.format(m=evening.meeting)}"
        page.goto(path)
        other.goto(path)
        for what in ("main tr", "main form", "main h2", "main svg"):
            assert page.locator(what).count() == other.locator(what).count(), (path, what)


class TestLive:
    def test_a_check_in_appears_on_tonight_and_on_its_event(self, open_page, evening):
        tonight, sheet = open_page(), open_page()
        sheet.goto(f"{evening.url}/console/events/{evening.meeting}")
        before = int(tonight.locator(".counts dd").nth(1).inner_text())
        evening.unified("student", student_identifier="L1", email="l1@example.edu",
                        first_name="Lately", last_name="Example")  # fmt: skip
        evening.attend("L1")
        tonight.locator(".counts dd").nth(1).get_by_text(str(before + 1), exact=True).wait_for()
        tonight.locator("#live").get_by_text("Lately Example").first.wait_for()
        sheet.locator("#live").get_by_text("Lately Example").first.wait_for()

    def test_what_is_refused_appears_in_red(self, open_page, evening):
        page = open_page()
        text = page.locator(".strip strong").inner_text()
        evening.attend("nobody-at-all")
        page.locator(".strip strong").get_by_text(str(int(text) + 1), exact=True).wait_for()

    def test_what_was_opened_stays_open(self, open_page, evening):
        page = open_page()
        page.goto(f"{evening.url}/console/events/{evening.meeting}")
        page.locator("#live summary").first.click()
        evening.unified("student", student_identifier="L2", email="l2@example.edu",
                        first_name="Later", last_name="Example")  # fmt: skip
        evening.attend("L2")
        page.locator("#live").get_by_text("Later Example").first.wait_for()
        assert page.locator("#live details").first.get_attribute("open") is not None


class TestOfficer:
    def test_search_as_one_types_and_the_address_keeps_it(self, open_page, evening):
        page = open_page()
        page.goto(f"{evening.url}/console/students")
        page.locator("#q").press_sequentially("radia s")
        page.locator("#results tbody tr").nth(1).wait_for()
        eventually(lambda: page.locator("#results tbody tr").count() == 2)
        eventually(lambda: "q=radia" in page.url)
        page.reload()
        assert page.locator("#results tbody tr").count() == 2

    def test_evidence_in_one_click_and_out_with_a_reason_and_back(self, open_page, evening):
        page = open_page()
        page.goto(f"{evening.url}/console/events/{evening.meeting}")
        page.locator("#sheet a", has_text="Put right").first.click()
        page.locator("#panel #why-withdraw").fill("was not there")
        page.locator("#panel button", has_text="Take out").click()
        page.locator(".notice", has_text="Attendance withdrawn").wait_for()
        page.locator(".notice button", has_text="Undo").click()
        page.locator(".notice", has_text="Undone successfully").wait_for()

    def test_a_cause_is_mended_and_all_that_waited_is_applied(self, open_page, evening):
        page = open_page()
        page.goto(f"{evening.url}/console/waiting")
        page.locator(".cause", has_text="Weekly Meetting").locator("a").click()
        page.locator("button", has_text="Only these 15 mean it").first.click()
        page.get_by_text("All 15 deliveries would be applied").wait_for()
        page.locator("button", has_text="Do it, and apply all 15").click()
        page.locator(".notice", has_text="15 of 15 deliveries are applied").wait_for()
        assert page.locator(".cause", has_text="Weekly Meetting").count() == 0

    def test_by_the_keyboard_alone(self, open_page, evening):
        evening.unified("student", student_identifier="K1", email="k1@example.edu",
                        first_name="Kay", last_name="Example")  # fmt: skip
        page = open_page()
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"
        page.goto(f"{evening.url}/console/events/{evening.meeting}/add")
        page.locator("#q").focus()
        page.keyboard.type("K1")
        page.locator("#results tbody tr").wait_for()
        for _ in range(12):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.textContent").startswith("Put in"):
                break
        page.keyboard.press("Enter")
        page.locator(".notice").wait_for()

    def test_printing_leaves_the_sheet_alone(self, open_page, evening):
        page = open_page()
        page.goto(f"{evening.url}/console/events/{evening.meeting}")
        page.emulate_media(media="print")
        assert page.locator("#sheet").is_visible()
        for what in ("header", ".actions", ".filters"):
            assert not page.locator(what).first.is_visible()


class TestDoor:
    def test_codes_are_taken_and_shown_and_one_may_go_on(self, open_page, evening):
        evening.unified("student", student_identifier="D1", email="d1@example.edu",
                        first_name="Dora", last_name="Example")  # fmt: skip
        page = open_page()
        page.goto(f"{evening.url}/console/door/{evening.meeting}")
        for code, colour, text in (
            ("D1", "green", "Dora Example"),
            ("D1", "amber", "Is here already"),
            ("04C0FFEE", "red", "It is noted, and waits"),
        ):
            eventually(lambda: page.evaluate("document.activeElement.id") == "code")
            page.keyboard.type(code)
            page.keyboard.press("Enter")
            page.locator(f"#result.{colour}", has_text=text).wait_for()
            assert page.evaluate("document.activeElement.id") == "code"
        assert page.locator("#log li").count() == 3

    def test_what_is_scanned_without_a_network_is_sent_later_with_its_time(
        self, open_page, evening
    ):
        page = open_page()
        page.goto(f"{evening.url}/console/door/{evening.meeting}")
        eventually(lambda: page.evaluate("document.activeElement.id") == "code")
        page.context.set_offline(True)
        for number in (57, 58):
            page.keyboard.type(f"A000000{number}")
            page.keyboard.press("Enter")
        page.locator("#kept", has_text="2 scans are kept in this browser").wait_for()
        assert page.locator("#log li").count() == 0
        page.context.set_offline(False)
        page.locator("#log li").nth(1).wait_for()
        assert page.locator("#kept").inner_text() == ""
        page.said.clear()  # the browser itself says that it is offline

    def test_what_was_kept_outlives_the_page(self, open_page, evening):
        page = open_page()
        address = f"{evening.url}/console/door/{evening.meeting}"
        page.goto(address)

        def lose(route):
            route.abort() if route.request.method == "POST" else route.continue_()

        eventually(lambda: page.evaluate("document.activeElement.id") == "code")
        page.route("**/console/door/*", lose)
        page.keyboard.type("A00000056")
        page.keyboard.press("Enter")
        page.locator("#kept", has_text="1 scan is kept").wait_for()
        page.goto(address)
        page.locator("#kept", has_text="1 scan is kept").wait_for()
        page.unroute("**/console/door/*")
        page.locator("#log li").wait_for()
        page.said.clear()

    def test_the_camera_reads_a_code(self, browser, open_page, evening):
        page = open_page()
        page.goto(f"{evening.url}/console/door/{evening.meeting}")
        # The browser's camera shows no code: one is painted in its place.
        page.evaluate(
            """async (address) => {
                const image = await createImageBitmap(await (await fetch(address)).blob());
                const canvas = document.createElement("canvas");
                [canvas.width, canvas.height] = [image.width, image.height];
                canvas.getContext("2d").drawImage(image, 0, 0);
                navigator.mediaDevices.getUserMedia = async () => canvas.captureStream(10);
                setInterval(() => canvas.getContext("2d").drawImage(image, 0, 0), 100);
            }""",
            "/console/pictures/students/3.png",
        )
        page.click("#camera")
        page.locator("#result", has_text="Alan Example").wait_for()


def test_the_stream_ends_with_the_token(browser, evening, open_page):
    from console.evening import post

    _, made = post(evening.url, "/api/tokens/", {"name": "wall", "scopes": ["counts"]}, TOKEN)
    page = open_page(token=made["token"])
    page.locator("h1").wait_for()
    post(evening.url, "/api/tokens/revoke/", {"name": "wall"}, TOKEN)
    eventually(lambda: page.goto(f"{evening.url}/console/").url.endswith("next=%2Fconsole%2F"))
    page.said.clear()
