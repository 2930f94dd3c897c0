"""Who may: logging in, what a token sees, and what a page of somebody else cannot do."""

import os
import pty
import re
import select
import subprocess
import sys

import pytest
from console.visitor import HOST, TOKEN, Visitor
from hubtest import Client

from hub.jobs import tokens

LOCAL = {"Origin": f"http://{HOST}"}


def token(hub, *scopes, sources=(), name="t", expires=None):
    return tokens.create(hub.store, name, scopes, sources, expires)


class TestLogin:
    def test_a_browser_at_the_root_is_led_there_and_a_program_is_told(self, hub):
        visitor = Visitor(hub, token=None)
        reply = visitor.raw("GET", "/")
        assert (reply.status, reply.headers["location"]) == (303, "/console/")
        reply = Client(hub).get("/", headers={"Accept": "application/json"})
        assert (reply.status, reply.error) == (404, "Not found")

    def test_who_is_not_logged_in_is_asked_to_and_then_led_on(self, hub):
        visitor = Visitor(hub, token=None)
        shown = visitor.get("/console/events?q=week")
        assert shown.path.startswith("/console/login?next=")
        form = shown.form("/console/login")
        assert form["next"] == "/console/events?q=week"
        shown = visitor.post("/console/login", {**form, "token": TOKEN})
        assert (shown.status, shown.path) == (200, "/console/events?q=week")

    def test_a_wrong_token_is_401_and_guessing_is_slowed_down(self, hub):
        visitor = Visitor(hub, token=None)
        for _ in range(5):
            shown = visitor.post("/console/login", {"token": "nonsense"})
            assert (shown.status, "Invalid token" in shown.text) == (401, True)
        assert visitor.post("/console/login", {"token": "nonsense"}).status == 429
        assert Visitor(hub).cookies

    @pytest.mark.parametrize(
        "to",
        [
            "https://example.org/",
            "//example.org/",
            "/console//example.org",
            "/console\\example.org",
            "javascript:alert(1)",
            "/console/../api/events/",
            "/console/\r\nSet-Cookie: x=y",
            "",
        ],
    )
    def test_nobody_is_led_away(self, hub, to):
        visitor = Visitor(hub, token=None)
        shown = visitor.post("/console/login", {"token": TOKEN, "next": to})
        assert shown.path == "/console/"

    def test_the_cookie_says_nothing_and_goes_nowhere_else(self, hub):
        visitor = Visitor(hub, token=None)
        reply = visitor.raw(
            "POST", "/console/login", f"token={TOKEN}".encode(), "application/x-www-form-urlencoded"
        )
        cookie = reply.headers["set-cookie"]
        assert cookie.startswith("__Host-hub=0.")
        for part in ("Path=/", "HttpOnly", "SameSite=Lax", "Secure"):
            assert part in cookie
        assert TOKEN not in cookie

    def test_over_plain_http_from_elsewhere_nobody_logs_in_unless_it_is_allowed(self, make_hub):
        far = {"Host": "hub.test:8000"}
        visitor = Visitor(make_hub(admin_token=TOKEN), token=None, **far)
        assert "public_url" in visitor.get("/console/").text
        shown = visitor.post("/console/login", {"token": TOKEN})
        assert (shown.status, visitor.cookies) == (403, {})
        visitor = Visitor(make_hub(admin_token=TOKEN, console_over_http=True), **far)
        assert list(visitor.cookies) == ["hub"]
        far_and_safe = make_hub(admin_token=TOKEN, public_url="https://hub.test/")
        assert list(Visitor(far_and_safe, Host="hub.test").cookies) == ["__Host-hub"]

    def test_logging_out_ends_it(self, visitor):
        visitor.post("/console/logout", {})
        assert visitor.get("/console/").path.startswith("/console/login")

    def test_a_session_ends_with_its_token(self, hub):
        visitor = Visitor(hub, token(hub, "read"))
        assert visitor.get("/console/students").status == 200
        tokens.revoke(hub.store, "t")
        hub.tokens.read_again()
        assert visitor.get("/console/students").path.startswith("/console/login")

    def test_a_session_of_a_name_is_not_that_of_the_next_of_the_name(self, hub):
        visitor = Visitor(hub, token(hub, "read"))
        tokens.revoke(hub.store, "t")
        token(hub, "admin")
        hub.tokens.read_again()
        assert visitor.get("/console/students").path.startswith("/console/login")

    @pytest.mark.parametrize(
        "change", ["0.1.x", "", "a.b.c", "1.2", "0.99999999999999999999.x", "²"]
    )
    def test_a_forged_cookie_opens_nothing(self, visitor, change):
        visitor.cookies["__Host-hub"] = change
        assert visitor.get("/console/").path.startswith("/console/login")

    def test_a_cookie_that_was_changed_anywhere_opens_nothing(self, visitor):
        good = visitor.cookies["__Host-hub"]
        for place in range(0, len(good), 5):
            other = "1" if good[place] != "1" else "2"
            visitor.cookies["__Host-hub"] = good[:place] + other + good[place + 1 :]
            assert visitor.get("/console/").path.startswith("/console/login")
        visitor.cookies["__Host-hub"] = good
        assert visitor.get("/console/").path == "/console/"

    def test_hubs_over_one_store_share_their_sessions(self, make_hub):
        visitor = Visitor(make_hub(admin_token=TOKEN))
        other = Visitor(make_hub(admin_token=TOKEN), token=None)
        other.cookies = visitor.cookies
        assert other.get("/console/").path == "/console/"

    def test_without_console_there_is_none(self, make_hub):
        hub = make_hub(without=("console",))
        assert hub.console is None
        assert Client(hub).get("/console/", headers={"Accept": "text/html"}).status == 404


class TestFirst:
    def test_the_link_makes_one_token_once(self, make_hub):
        hub = make_hub()
        link = hub.console.entrance.first_link()
        visitor = Visitor(hub, token=None)
        assert "no token yet" in visitor.get(link).text
        shown = visitor.post(link, {})
        made = re.search(r"hub_[\w-]{43}", shown.html)[0]
        assert visitor.get("/console/setup").status == 200
        assert "first" in visitor.get("/console/setup").text
        assert visitor.get(link).status == 404
        assert Visitor(hub, made).get("/console/setup").status == 200
        assert hub.console.entrance.first_link() is None

    @pytest.mark.parametrize("has_token", [False, True])
    def test_it_is_printed_to_a_terminal_alone(self, tmp_path, has_token):
        environment = {name: one for name, one in os.environ.items() if not name.startswith("HUB_")}
        if has_token:
            environment["HUB_ADMIN_TOKEN"] = "0123456789abcdef"
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "hub", "serve", "--port", "0"],
            cwd=tmp_path, env=environment, stdout=theirs, stderr=subprocess.STDOUT,
        )  # fmt: skip
        os.close(theirs)
        text = b""
        while b"source console" not in text or b"\n" not in text.partition(b"/console/")[2]:
            text += os.read(ours, 65536)
        for _ in range(100):
            if b"/console/first/" in text or not select.select([ours], [], [], 0.02)[0]:
                break
            text += os.read(ours, 65536)
        process.terminate()
        process.wait(20)
        os.close(ours)
        assert (b"/console/first/" in text) is not has_token

    def test_looking_at_it_makes_nothing(self, make_hub):
        hub = make_hub()
        link = hub.console.entrance.first_link()
        Visitor(hub, token=None).get(link)
        assert hub.console.entrance.first_link() is not None

    def test_a_guess_is_404(self, make_hub):
        hub = make_hub()
        assert Visitor(hub, token=None).get("/console/first/guess").status == 404
        hub.console.entrance.first_link()
        assert Visitor(hub, token=None).get("/console/first/guess").status == 404
        assert Visitor(hub, token=None).post("/console/first/guess", {}).status == 404


class TestScopes:
    def test_counts_sees_no_name_on_any_page(self, hub, evening):
        visitor = Visitor(hub, token(hub, "counts"))
        seen, ahead = set(), ["/console/"]
        while ahead:
            path = ahead.pop()
            if path in seen or not path.startswith("/console/") or "/static/" in path:
                continue
            seen.add(path)
            shown = visitor.get(path)
            assert shown.status == 200, path
            assert not re.search("Ada|Grace|Edsger|example.edu", shown.html), path
            ahead += [link.partition("#")[0] for link in shown.links if not link.startswith("?")]
        assert {"/console/events", "/console/events/1", "/console/reports"} <= seen
        for path in ("students", "students/1", "attendances/1", "waiting", "setup", "deliveries"):
            shown = visitor.get(f"/console/{path}")
            assert (shown.status, "It needs the scope" in shown.text) == (403, True)
        assert visitor.get("/console/get/api/students/").status == 403

    def test_read_changes_nothing(self, hub, evening, rows):
        visitor = Visitor(hub, token(hub, "read"))
        shown = visitor.get("/console/attendances/1")
        assert "Put it right" not in shown.text
        for path, fields in (
            ("desk/withdraw", {"attendance": "1", "reason": "x"}),
            ("students/save", {"student": "id:1", "first_name": "X"}),
            ("waiting/apply", {"waiting_for": "student a_number:a9"}),
            ("imports/apply", {"kept": "x"}),
            ("students/1/forget", {"name": "Ada Example"}),
            ("setup/tokens", {"name": "x", "scope": "admin"}),
        ):
            assert visitor.post(f"/console/{path}", fields).status == 403, path
        assert rows("Attendance")[0]["state"] == 0
        assert rows.count("Token") == 1

    def test_post_sees_the_door_alone(self, hub, evening):
        visitor = Visitor(hub, token=None)
        made = token(hub, "post", sources=["console"])
        shown = visitor.post("/console/login", {"token": made})
        assert (shown.status, shown.path) == (200, "/console/door")
        assert "Weekly Meeting" in shown.text
        assert not re.search("Ada|Grace", visitor.get("/console/door/1").html)
        for path in ("events", "students", "students/1", "events/1"):
            assert visitor.get(f"/console/{path}").status == 403
        shown = visitor.post("/console/door/1", {"code": "a3"})
        assert "Edsger Example" in shown.text

    def test_post_to_another_source_is_no_door(self, hub, evening):
        visitor = Visitor(hub, token=None)
        visitor.post("/console/login", {"token": token(hub, "post", sources=["gate"])})
        for path in ("door", "door/1"):
            shown = visitor.get(f"/console/{path}")
            assert (shown.status, "Weekly" in shown.html) == (403, False)
        assert visitor.post("/console/door/1", {"code": "a3"}).status == 403


class TestOthersPages:
    @pytest.mark.parametrize(
        "headers",
        [
            {"Sec-Fetch-Site": "cross-site", "Origin": "https://example.org"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site", "Origin": "http://evil.localhost:8000"},
            {"Origin": "https://example.org"},
            {"Origin": "null"},
            {"Origin": f"http://{HOST}.example.org"},
        ],
    )
    @pytest.mark.parametrize(
        "path", ["desk/withdraw", "logout", "login", "setup/tokens", "door/1", "students/save"]
    )
    def test_cannot_send_a_form(self, hub, evening, visitor, headers, path, rows):
        fields = {"attendance": "1", "reason": "x", "code": "a3", "name": "x", "scope": "admin"}
        shown = visitor.post(f"/console/{path}", {**fields, "token": TOKEN}, **headers)
        assert shown.status == 403
        assert visitor.get("/console/").path == "/console/"
        assert rows.count("Attendance") == 2
        assert rows("Attendance")[0]["state"] == 0
        assert rows.count("Token") == 0

    def test_ones_own_can(self, hub, evening, visitor):
        fields = {"attendance": "1", "reason": "x"}
        shown = visitor.post("/console/desk/withdraw", fields, **LOCAL)
        assert "Attendance withdrawn" in shown.notice

    def test_an_origin_that_may_post_webhooks_may_not_use_the_console(self, make_hub):
        hub = make_hub(admin_token=TOKEN, allowed_origins=("https://example.org",))
        visitor = Visitor(hub)
        origin = {"Origin": "https://example.org"}
        assert visitor.post("/console/events/save", {"name": "x"}, **origin).status == 403

    def test_every_page_says_what_may_be_in_it_and_that_nobody_keeps_it(self, visitor):
        for path in ("/console/", "/console/login", "/console/nonsense", "/console/students"):
            headers = visitor.get(path).headers
            policy = headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; script-src 'self'")
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert headers["x-frame-options"] == "DENY"
            assert headers["cache-control"] == "no-store"
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "same-origin"

    def test_no_page_has_anything_inline_or_from_elsewhere(self, hub, visitor, evening):
        for path in ("/console/", "/console/events/1", "/console/door/1", "/console/sources"):
            html = visitor.get(path).html
            assert not re.search(r"<style|style=|\son\w+=|<script(?![^>]*src=)", html)
            assert not re.search(r"""(?:src|href|action)=["']?(?:https?:)?//""", html)

    def test_files_are_those_of_the_folder_alone(self, visitor):
        for path in ("../console.py", "..%2fconsole.py", "%2e%2e/console.py", ".", "qr", "nothing"):
            assert visitor.raw("GET", f"/console/static/{path}").status == 404
        assert visitor.raw("GET", "/console/static/qr/decode.js").status == 200

    def test_the_api_takes_no_cookie(self, hub, visitor, evening):
        assert visitor.raw("GET", "/api/students/").status == 401
        reply = visitor.raw("POST", "/api/webhook/desk/", b"{}", "application/json")
        assert reply.status == 401


def test_forgotten_in_the_log_is_nobody(hub, evening, caplog):
    Visitor(hub).get("/console/students/1")
    Visitor(hub, token=None).post("/console/login", {"token": "secret-that-is-wrong"})
    assert "secret-that-is-wrong" not in caplog.text
    assert "Ada" not in caplog.text
