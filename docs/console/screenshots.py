"""Makes the pictures of docs/console.md: an evening with invented people, in Debian's Chromium.

.venv/bin/pip install -e '.[test,browser]' && .venv/bin/python docs/console/screenshots.py
"""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1] / "tests")]

from console.evening import TOKEN, Evening  # noqa: E402
from serving import Server  # noqa: E402

SIZE = {"width": 960, "height": 620}
PHONE = {"width": 360, "height": 640}
ROSTER = (
    b"A-Number,First Name,Last Name\nA00000001,Grace,Hopper\nA00000200,Rosalind,Example\n,No,Body\n"
)
SCREENS = {
    "tonight": "",
    "event": "events/{m}",
    "attendance": "attendances/{a}",
    "missing": "events/{m}/absent",
    "events": "events",
    "students": "students",
    "student": "students/2",
    "merge": "students/merge?keep=1&merge=61",
    "waiting": "waiting",
    "mend": "waiting/cause?waiting_for=event+name:Weekly+Meetting",
    "doubts": "doubts",
    "deliveries": "deliveries",
    "delivery": "deliveries/{d}",
    "imports": "imports",
    "reports": "reports",
    "sources": "sources",
    "setup": "setup#tokens",
}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        environment = {"HUB_ADMIN_TOKEN": TOKEN, "HUB_TIME_ZONE": "America/Denver"}
        server = Server(f"sqlite:///{folder}/hub.db", cwd=folder, environment=environment)
        try:
            evening = Evening(server.url).hold()
            browser = playwright.chromium.launch(
                executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
            )
            take(browser, server.url, evening.meeting)
            browser.close()
        finally:
            server.stop()


def take(browser, url, meeting):
    page = log_in(browser, url, viewport=SIZE)
    page.goto(f"{url}/console/events/{meeting}")
    attendance = page.locator("#sheet a", has_text="Put right").first.get_attribute("href")
    page.goto(f"{url}/console/deliveries?status=refused")
    delivery = page.locator("tbody a").first.get_attribute("href")
    known = {"m": meeting, "a": attendance.rpartition("/")[2], "d": delivery.rpartition("/")[2]}
    for name, path in SCREENS.items():
        page.goto(f"{url}/console/{path.format(**known)}")
        save(page, name)
    page.goto(f"{url}/console/imports")
    roster = {"name": "roster.csv", "mimeType": "text/csv", "buffer": ROSTER}
    page.set_input_files("#file", files=[roster])
    page.click("text=Look at it")
    page.get_by_text("Import it").wait_for()
    save(page, "import")
    dark = log_in(browser, url, viewport=SIZE, color_scheme="dark")
    save(dark, "dark")
    phone = log_in(browser, url, viewport=PHONE)
    phone.goto(f"{url}/console/door/{meeting}")
    for code in ("04C0FFEE", "A00000050"):
        phone.keyboard.type(code)
        phone.keyboard.press("Enter")
        phone.locator(f"#log li:has-text('{code}'), #result.green").first.wait_for()
    save(phone, "door")


def log_in(browser, url, **options):
    page = browser.new_context(**options).new_page()
    page.goto(f"{url}/console/")
    page.fill("#token", TOKEN)
    page.click("main button")
    page.locator("h1").wait_for()
    return page


def save(page, name):
    page.wait_for_timeout(300)
    page.screenshot(path=HERE / f"{name}.png")


if __name__ == "__main__":
    main()
