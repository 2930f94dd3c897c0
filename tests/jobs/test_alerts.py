"""Alerts: told when something begins and when it is over, by a webhook and by mail, once."""

import json
import socketserver
import threading
from collections import namedtuple
from dataclasses import replace
from datetime import datetime, timedelta
from email import message_from_string
from email.policy import default as email_policy
from http.server import BaseHTTPRequestHandler

import pytest
from hubtest import Calls, Client, Rows
from serving import free_port, http_server
from standardwebhooks.webhooks import Webhook

from hub.config.load import load
from hub.config.settings import AlertSettings
from hub.domain.alerts import Alert
from hub.domain.timestamps import utc_now
from hub.errors import SettingError
from hub.jobs import alerts, conditions
from hub.jobs.channels import MailChannel
from hub.jobs.conditions import Conditions
from hub.store import backup

SECRET = "whsec_" + "A" * 32
SECURE = "/api/webhook/attendance/secure/"
USAGE = namedtuple("USAGE", "total used free")


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((dict(self.headers), body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def receiver():
    with http_server(Receiver) as server:
        server.got, server.status = [], 204
        yield server


class MailServer(socketserver.ThreadingTCPServer):
    """As much of SMTP (RFC 5321) as it takes to be given a mail, or to refuse it."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Conversation)
        self.mails, self.answers, self.commands = [], {}, []
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()


class Conversation(socketserver.StreamRequestHandler):
    def handle(self):
        if self.server.answers.get("connect") == "silence":
            self.rfile.read()
            return None
        self.say(self.server.answers.get("connect", "220 mail.example.edu"))
        while line := self.rfile.readline():
            command = line.decode().strip()
            word = command.split(":")[0].split(" ")[0].upper()
            self.server.commands.append(command)
            if word == "QUIT":
                return self.say("221 bye")
            if word == "DATA" and "DATA" not in self.server.answers:
                self.say("354 go on")
                text = b""
                while (part := self.rfile.readline()) != b".\r\n":
                    text += part
                self.server.mails.append(
                    message_from_string(text.decode().replace("\r\n", "\n"), policy=email_policy)
                )
                self.say("250 taken")
            else:
                usual = "250-mail.example.edu\r\n250 AUTH PLAIN" if word == "EHLO" else "250 fine"
                self.say(self.server.answers.get(word, usual))
        return None

    def say(self, text):
        self.wfile.write(f"{text}\r\n".encode())


@pytest.fixture
def mail_server():
    server = MailServer()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def alerting(make_hub):
    """The alerts of a hub, and their clock."""

    def alerting(**given):
        settings = AlertSettings(**given)
        hub = make_hub(
            alerts=settings, webhook_secret=("hush",), public_url="https://hub.example.edu"
        )
        return hub.alerts

    return alerting


def look(one, wrong, monkeypatch):
    """Have it look, and find this."""
    monkeypatch.setattr(one._conditions, "now", lambda now: wrong)
    one._look_at = 0.0
    one.do_what_is_due()


def told(server):
    return [json.loads(body)["type"] for _, body in server.got]


def url(server):
    return f"http://127.0.0.1:{server.server_address[1]}/alerts"


class TestTelling:
    def test_the_begin_and_the_end_and_nothing_in_between(self, alerting, receiver, monkeypatch):
        one = alerting(webhook=url(receiver), webhook_secret=SECRET)
        wrong = {"disk-low": "4 % of the store's disk are free"}
        for _ in range(3):
            look(one, wrong, monkeypatch)
        assert told(receiver) == ["alert.began"]
        look(one, {}, monkeypatch)
        assert told(receiver) == ["alert.began"], "it may come again at once"
        monkeypatch.setattr(alerts, "QUIET", -1.0)
        look(one, {}, monkeypatch)
        look(one, {}, monkeypatch)
        assert told(receiver) == ["alert.began", "alert.ended"]
        monkeypatch.setattr(alerts, "QUIET", 300.0)
        look(one, wrong, monkeypatch)
        assert told(receiver) == ["alert.began", "alert.ended", "alert.began"]

    def test_what_is_posted(self, alerting, receiver, monkeypatch):
        one = alerting(webhook=url(receiver), webhook_secret=SECRET)
        look(one, {"source-silent onetap": "Nothing has come from onetap"}, monkeypatch)
        headers, body = receiver.got[0]
        message = Webhook(SECRET).verify(body, {name.lower(): one for name, one in headers.items()})
        data = message["data"]
        assert (data["alert"], data["about"]) == ("source-silent", "onetap")
        assert data["text"] == "Nothing has come from onetap"
        assert (data["ended_at"], data["hub"]) == (None, "https://hub.example.edu")
        assert headers["Webhook-Id"].startswith("msg_source-silent_onetap_")

    def test_a_restart_tells_nobody_again(self, alerting, receiver, make_hub, monkeypatch):
        settings = {"webhook": url(receiver), "webhook_secret": SECRET}
        look(alerting(**settings), {"disk-low": "x"}, monkeypatch)
        again = alerting(**settings)
        look(again, {"disk-low": "y"}, monkeypatch)
        assert told(receiver) == ["alert.began"]
        monkeypatch.setattr(alerts, "QUIET", -1.0)
        look(again, {}, monkeypatch)
        assert told(receiver) == ["alert.began", "alert.ended"]
        assert Rows(make_hub())("Alert") == []

    def test_it_is_told_when_the_server_is_back(self, alerting, receiver, monkeypatch, caplog):
        one = alerting(webhook=url(receiver), webhook_secret=SECRET)
        receiver.status = 500
        for _ in range(3):
            look(one, {"disk-low": "x"}, monkeypatch)
        monkeypatch.setattr(alerts, "QUIET", -1.0)
        look(one, {}, monkeypatch)
        receiver.got.clear()
        receiver.status = 204
        look(one, {}, monkeypatch)
        assert told(receiver) == ["alert.began", "alert.ended"]
        lines = [line for line in caplog.messages if "not told by webhook yet" in line]
        assert lines == ["alerts are not told by webhook yet: it answered 500"]
        assert SECRET not in caplog.text

    def test_a_store_that_fails_is_told_all_the_same(self, alerting, receiver, monkeypatch):
        one = alerting(webhook=url(receiver), webhook_secret=SECRET)
        look(one, {}, monkeypatch)
        monkeypatch.undo()
        monkeypatch.setattr(one._store, "_broken", "its file is gone")
        one._look_at = 0.0
        one.do_what_is_due()
        assert json.loads(receiver.got[0][1])["data"]["alert"] == "store-failing"

    def test_nobody_is_told_where_nobody_is_named(self, alerting):
        one = alerting()
        assert not one.is_wanted
        one.start()
        assert one._thread is None

    def test_the_thread(self, alerting, receiver, make_hub, monkeypatch):
        one = alerting(webhook=url(receiver), webhook_secret=SECRET, backup_after=1)
        Calls(Client(make_hub())).student("a1")
        late = utc_now() + timedelta(hours=2)
        monkeypatch.setattr(alerts, "utc_now", lambda: late)
        one.start()
        try:
            from serving import eventually

            eventually(lambda: receiver.got)
        finally:
            one.close(10)
        assert json.loads(receiver.got[0][1])["data"]["alert"] == "backup-old"


class TestMail:
    def settings(self, server, **more):
        return AlertSettings(
            mail_to=("office@example.edu", "it@example.edu"),
            mail_from="hub@example.edu",
            smtp_host="127.0.0.1",
            smtp_port=server.server_address[1],
            **more,
        )

    alert = Alert(
        "source-silent onetap", "Nothing has come from onetap", datetime(2026, 11, 30, 18)
    )

    def test_a_mail(self, mail_server):
        MailChannel(self.settings(mail_server), "https://hub.example.edu").tell(self.alert, False)
        (mail,) = mail_server.mails
        assert mail["Subject"] == "[attendance-hub] source-silent onetap"
        assert (mail["From"], mail["To"]) == (
            "hub@example.edu",
            "office@example.edu, it@example.edu",
        )
        assert mail["Message-ID"].startswith("<msg_source-silent_onetap_20261130180000_began@")
        assert mail["Auto-Submitted"] == "auto-generated"
        assert "Nothing has come from onetap\n" in mail.get_content()
        assert "It began at 2026-11-30T18:00:00Z." in mail.get_content()

    def test_that_it_is_over(self, mail_server):
        over = replace(self.alert, ended_at=datetime(2026, 11, 30, 19))
        MailChannel(self.settings(mail_server), "").tell(over, True)
        (mail,) = mail_server.mails
        assert mail["Subject"] == "[attendance-hub] over: source-silent onetap"
        assert "It is over since 2026-11-30T19:00:00Z." in mail.get_content()

    def test_with_a_user(self, mail_server):
        settings = self.settings(mail_server, smtp_user="hub", smtp_password="hush")
        mail_server.answers["AUTH"] = "235 welcome"
        MailChannel(settings, "").tell(self.alert, False)
        assert len(mail_server.mails) == 1

    @pytest.mark.parametrize(
        ("answers", "said"),
        [
            ({"connect": "554 no"}, "the mail server answered 554"),
            ({"EHLO": "500 no", "HELO": "500 no"}, "the mail server answered 500"),
            ({"MAIL": "451 later"}, "the mail server answered 451"),
            ({"RCPT": "550 nobody"}, "the mail server takes none of the addresses"),
            ({"DATA": "552 full"}, "the mail server answered 552"),
            ({"connect": "silence"}, "the mail server: SMTPServerDisconnected"),
            ({"AUTH": "535 wrong"}, "the mail server answered 535"),
        ],
    )
    def test_one_that_does_not_take_it(self, mail_server, answers, said, monkeypatch):
        if "silence" in answers.values():
            monkeypatch.setattr("hub.jobs.channels._TIME_LIMIT", 0.5)
        mail_server.answers.update(answers)
        user = {"smtp_user": "hub", "smtp_password": "hush"} if "AUTH" in answers else {}
        with pytest.raises(Exception, match=said) as error:
            MailChannel(self.settings(mail_server, **user), "").tell(self.alert, False)
        assert "hush" not in str(error.value)

    def test_one_that_is_away(self):
        settings = AlertSettings(
            mail_to=("a@example.edu",),
            mail_from="b@example.edu",
            smtp_host="127.0.0.1",
            smtp_port=free_port(),
        )
        with pytest.raises(Exception, match="the mail server: ConnectionRefusedError"):
            MailChannel(settings, "").tell(self.alert, False)

    @pytest.mark.parametrize("security", ["starttls", "tls"])
    def test_one_without_tls_is_told_no_password(self, mail_server, security, monkeypatch):
        monkeypatch.setattr("hub.jobs.channels._TIME_LIMIT", 0.5)
        settings = self.settings(
            mail_server, smtp_security=security, smtp_user="hub", smtp_password="hush"
        )
        with pytest.raises(Exception, match="the mail server: "):
            MailChannel(settings, "").tell(self.alert, False)
        assert not any("AUTH" in command for command in mail_server.commands)

    def test_one_channel_does_not_wait_for_the_other(self, alerting, receiver, monkeypatch):
        one = alerting(
            webhook=url(receiver), webhook_secret=SECRET, mail_to=("a@example.edu",),
            mail_from="b@example.edu", smtp_host="127.0.0.1", smtp_port=free_port(),
        )  # fmt: skip
        for _ in range(2):
            look(one, {"disk-low": "x"}, monkeypatch)
        assert told(receiver) == ["alert.began"]
        (kept,) = rows_of(one)
        assert (kept.begun, kept.ended_at) == ("webhook", None)


def rows_of(one):
    with one._store.reading() as db:
        return list(db.Alert.select())


class TestConditions:
    @pytest.fixture
    def hub(self, make_hub):
        return make_hub(webhook_secret=("hush",))

    @pytest.fixture
    def wrong(self, hub):
        def wrong(now=None, **given):
            settings = AlertSettings(**given)
            one = wrong.made = getattr(wrong, "made", None) or Conditions(
                hub.store, hub.endpoints, ["desk"], settings
            )
            return one.now(now or utc_now())

        return wrong

    def test_a_hub_that_is_well(self, hub, wrong):
        Calls(Client(hub)).student("a1")
        assert wrong() == {}

    def test_signatures(self, hub, wrong):
        client = Client(hub)
        assert wrong() == {}
        for _ in range(6):
            client.post(SECURE, {})
        (name,) = found = wrong()
        assert name == "signatures-failing secure"
        assert found[name].startswith("6 requests to secure had no right credential")
        assert wrong(utc_now() + timedelta(minutes=16)) == {}

    def test_refusals_above_the_usual(self, hub, wrong):
        calls = Calls(Client(hub))
        for _ in range(20):
            calls.attend("a9", "Lab")
        assert wrong() == {}
        calls.attend("a9", "Lab")
        assert list(wrong()) == ["refusals unified"]
        # As many each half hour are usual.
        rows = utc_now() + timedelta(minutes=31)
        assert wrong(rows) == {}

    def test_what_is_usual_is_no_alert(self, hub, wrong, monkeypatch):
        monkeypatch.setattr(
            conditions.alerts,
            "untaken",
            lambda db, since, until: {
                "unified": 25 * (336 if until - since > timedelta(days=1) else 1)
            },
        )
        assert wrong() == {}

    def test_a_silent_source(self, hub, wrong):
        calls = Calls(Client(hub))
        calls.student("a1")
        now = utc_now()
        for number, hours in enumerate((-27, -3)):
            calls.event(f"e{number}", _text(now + timedelta(hours=hours)))
        calls.event("on", _text(now - timedelta(minutes=40)))
        assert wrong() == {}
        _came(hub, "onetap", now - timedelta(hours=26), now - timedelta(hours=2, minutes=30))
        _came(hub, "legacy", now - timedelta(hours=2, minutes=30))
        found = wrong()
        assert list(found) == ["source-silent onetap"]
        assert found["source-silent onetap"].startswith(
            "An event is on, and nothing has come from onetap since "
        )
        _came(hub, "onetap", now - timedelta(minutes=5))
        assert wrong() == {}

    def test_no_event_is_on(self, hub, wrong):
        now = utc_now()
        for number, hours in enumerate((-27, -5)):
            Calls(Client(hub)).event(f"e{number}", _text(now + timedelta(hours=hours)))
        _came(hub, "onetap", now - timedelta(hours=26), now - timedelta(hours=4, minutes=30))
        assert wrong() == {}

    def test_outbox_disk_and_backup(self, hub, wrong, monkeypatch):
        Calls(Client(hub)).student("a1")
        with hub.store.writing() as tx:
            tx.run(
                "INSERT INTO outbox (target, attendance, attempts, due_at) VALUES ('crm', 1, 9, NULL)"
            )
        later = utc_now() + timedelta(hours=40)
        assert list(wrong(later)) == ["outbox-given-up crm", "backup-old"]
        assert "There is no backup" in wrong(later)["backup-old"]
        with hub.store.writing() as tx:
            tx.run("DELETE FROM outbox")
            backup.keep(tx, utc_now(), 1)
        assert "The last backup is of 20" in wrong(later)["backup-old"]
        assert wrong() == {}
        if hub.store.address.in_file:
            monkeypatch.setattr("shutil.disk_usage", lambda _: USAGE(100, 91, 9))
            assert list(wrong()) == ["disk-low"]
            assert wrong()["disk-low"] == "9% of the store's disk are free (9 bytes)"


def _text(moment):
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _came(hub, source, *moments):
    """Deliveries that came to a source at these moments."""
    from hub.domain.delivery import Delivery, Outcome, Settlement, delivery_id_at
    from hub.store import deliveries

    with hub.store.writing() as tx:
        for moment in moments:
            identifier = delivery_id_at(moment)[:12] + source.encode().hex()[:8].ljust(16, "0")
            delivery = Delivery(identifier, source, moment, {}, b"{}")
            deliveries.keep(tx, delivery, Settlement(Outcome.APPLIED, 201, "{}", 1), None, None)


class TestSettings:
    def load(self, tmp_path, table="", **environment):
        file = tmp_path / "hub.toml"
        file.write_text(f"[alerts]\n{table}")
        return load({}, str(file), {f"HUB_ALERTS_{name}": one for name, one in environment.items()})

    def test_all_of_them(self, tmp_path):
        table = 'webhook = "https://x.example/a"\nmail_to = ["a@x.example"]\nmail_from = "b@x.example"\n'
        loaded = self.load(
            tmp_path,
            table + 'smtp_user = "u"\nsmtp_security = "tls"\nsmtp_port = 465\n',
            WEBHOOK_SECRET=SECRET,
            SMTP_PASSWORD="hush",
            SILENT_AFTER="10",
        )
        found = loaded.settings.alerts
        assert (found.webhook_secret, found.smtp_password, found.silent_after) == (
            SECRET,
            "hush",
            10,
        )
        assert "hush" not in repr(found)
        assert loaded.origins["alerts.silent_after"] == "HUB_ALERTS_SILENT_AFTER"

    @pytest.mark.parametrize(
        ("table", "environment", "said"),
        [
            ("x = 1", {}, "alerts.x in "),
            ("mail_too = []", {}, "did you mean mail_to?"),
            ("", {"X": "1"}, "HUB_ALERTS_X: there is no such setting"),
            ('smtp_password = "x"', {}, "secrets stay out of this file"),
            ('mail_to = ["nobody"]', {}, "it must be a mail address"),
            ('mail_to = ["a@b.example\\nBcc: c@d.example"]', {}, "it must be a mail address"),
            ('mail_to = ["a@x.example"]', {}, "alerts.mail_from: it is missing"),
            ('smtp_user = "u"', {}, "set HUB_ALERTS_SMTP_PASSWORD"),
            ('smtp_user = "u"', {"SMTP_PASSWORD": "p"}, "would go over the network in the clear"),
            ('webhook = "ftp://x"', {}, "alerts.webhook: it is no http:// or https:// URL"),
            ('webhook = "https://x/"', {}, "set HUB_ALERTS_WEBHOOK_SECRET=whsec_"),
            ('webhook = "https://x/"', {"WEBHOOK_SECRET": "abcd"}, "it has less than 24 bytes"),
            (
                'webhook = "https://x/"',
                {"WEBHOOK_SECRET": "$"},
                "a Standard Webhooks secret is Base64",
            ),
            ("backup_after = -1", {}, "it must be a whole number"),
        ],
    )
    def test_wrong_ones(self, tmp_path, table, environment, said):
        with pytest.raises(SettingError) as error:
            self.load(tmp_path, table, **environment)
        assert said in str(error.value)

    def test_they_are_shown_without_secrets(self, run, monkeypatch):
        monkeypatch.setenv("HUB_ALERTS_WEBHOOK", "https://x.example/a")
        monkeypatch.setenv("HUB_ALERTS_WEBHOOK_SECRET", SECRET)
        lines = run("config")
        assert "alerts.webhook = https://x.example/a  (HUB_ALERTS_WEBHOOK)" in lines
        assert "alerts.webhook_secret = set, not shown  (HUB_ALERTS_WEBHOOK_SECRET)" in lines
        assert SECRET not in "\n".join(lines)
