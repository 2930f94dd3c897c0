"""How whoever runs a hub is told of an alert: by a webhook (Standard Webhooks), or by mail (RFC 5322)."""

import json
import smtplib
import ssl
from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import UTC
from email.message import EmailMessage
from email.utils import format_datetime

from hub.config.settings import AlertSettings
from hub.domain.alerts import Alert
from hub.domain.timestamps import format_utc
from hub.errors import NotDelivered
from hub.wire.standard_webhook import post

_TIME_LIMIT = 10.0
"""Seconds for each step of a conversation with a mail server."""


class Channel(ABC):
    """One way to tell."""

    name: str

    @abstractmethod
    def tell(self, alert: Alert, ended: bool) -> None:
        """Tell that an alert has begun, or that it has ``ended``. Raises NotDelivered."""


class WebhookChannel(Channel):
    """A URL to which it is posted. ``webhook-id`` is the same each time that one thing is told."""

    name = "webhook"

    def __init__(self, url: str, secret: str, hub: str) -> None:
        self._url = url
        self._secret = secret
        self._hub = hub

    def tell(self, alert: Alert, ended: bool) -> None:
        what = "ended" if ended else "began"
        at = alert.ended_at if ended and alert.ended_at is not None else alert.began_at
        told = {
            "type": f"alert.{what}",
            "timestamp": format_utc(at),
            "data": {
                "alert": alert.kind,
                "about": alert.about,
                "text": alert.text,
                "began_at": format_utc(alert.began_at),
                "ended_at": None if alert.ended_at is None else format_utc(alert.ended_at),
                "hub": self._hub or None,
            },
        }
        identifier = _identifier(alert, ended)
        post(self._url, self._secret, identifier, json.dumps(told, ensure_ascii=False))


class MailChannel(Channel):
    """A mail server, and whom it is told to."""

    name = "mail"

    def __init__(self, settings: AlertSettings, hub: str) -> None:
        self._settings = settings
        self._hub = hub

    def tell(self, alert: Alert, ended: bool) -> None:
        try:
            with self._server() as server:
                if self._settings.smtp_user:
                    server.login(self._settings.smtp_user, self._settings.smtp_password)
                refused = server.send_message(self._message(alert, ended))
        except smtplib.SMTPResponseException as error:
            raise NotDelivered(f"the mail server answered {error.smtp_code}") from None
        except smtplib.SMTPRecipientsRefused:
            raise NotDelivered("the mail server takes none of the addresses") from None
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise NotDelivered(f"the mail server: {type(error).__name__}") from None
        if refused:
            raise NotDelivered(f"the mail server does not take {len(refused)} of the addresses")

    def _server(self) -> smtplib.SMTP:
        host, port = self._settings.smtp_host, self._settings.smtp_port
        if self._settings.smtp_security == "tls":
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(host, port, timeout=_TIME_LIMIT, context=context)
        server = smtplib.SMTP(host, port, timeout=_TIME_LIMIT)
        if self._settings.smtp_security == "starttls":
            try:
                server.starttls(context=ssl.create_default_context())
            except BaseException:
                server.close()
                raise
        return server

    def _message(self, alert: Alert, ended: bool) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self._settings.mail_from
        message["To"] = ", ".join(self._settings.mail_to)
        began = format_utc(alert.began_at.replace(microsecond=0))
        about = f" {alert.about}" if alert.about else ""
        message["Subject"] = f"[attendance-hub] {'over: ' if ended else ''}{alert.kind}{about}"
        at = alert.ended_at if ended and alert.ended_at is not None else alert.began_at
        message["Date"] = format_datetime(at.replace(tzinfo=UTC))
        message["Message-ID"] = f"<{_identifier(alert, ended)}@attendance-hub>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834
        lines = [alert.text, f"It began at {began}."]
        if ended and alert.ended_at is not None:
            lines.append(f"It is over since {format_utc(alert.ended_at.replace(microsecond=0))}.")
        if self._hub:
            lines.append(f"Hub: {self._hub}/console/")
        message.set_content("\n\n".join(lines) + "\n")
        return message


def channels(settings: AlertSettings, hub: str) -> Iterator[Channel]:
    """Those that are configured. ``hub`` is its address, if it has one."""
    if settings.webhook:
        yield WebhookChannel(settings.webhook, settings.webhook_secret, hub)
    if settings.mail_to:
        yield MailChannel(settings, hub)


def _identifier(alert: Alert, ended: bool) -> str:
    """The same each time that one thing is told: it may have arrived though nobody said so."""
    name = alert.name.replace(" ", "_")
    return f"msg_{name}_{alert.began_at:%Y%m%d%H%M%S}_{'ended' if ended else 'began'}"
