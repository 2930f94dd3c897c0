"""Every committed check-in is posted on to other systems, signed as Standard Webhooks has it.

A URL gets ``{"type": "attendance.created", "timestamp": …, "data": …}`` with the headers ``webhook-id``
(the same each time that a check-in is sent), ``webhook-timestamp`` and ``webhook-signature``
(standardwebhooks.com). Anything but 2xx, and silence for ten seconds, is tried again later.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from hub import (
    CommittedCheckIn,
    Target,
    format_utc,
    hookimpl,
    post_webhook,
    require_webhook_secret,
    require_webhook_url,
    setting,
)


@dataclass(frozen=True)
class Settings:
    urls: Mapping[str, str] = setting("Where check-ins are posted: a URL by a name of your choice")
    secrets: Mapping[str, str] = setting("What is signed with, by that name", {}, secret=True)


def message(check_in: CommittedCheckIn) -> dict[str, Any]:
    """What is posted of a check-in."""
    student, event, attendance = check_in.student, check_in.event, check_in.attendance
    checked_out_at = attendance.checked_out_at
    return {
        "type": "attendance.created",
        "timestamp": format_utc(attendance.checked_in_at),
        "data": {
            "attendance_id": attendance.id,
            "checked_in_at": format_utc(attendance.checked_in_at),
            "checked_out_at": format_utc(checked_out_at) if checked_out_at else None,
            "student": {
                "id": student.id,
                "identifier": student.a_number,
                "email": student.email,
                "name": student.name,
            },
            "event": {
                "id": event.id,
                "name": event.name,
                "date": event.date.isoformat(),
                "starts_at": format_utc(event.starts_at),
            },
            "source": check_in.source,
            "delivery": check_in.delivery,
        },
    }


def send(url: str, secret: str, check_in: CommittedCheckIn) -> None:
    """Post a check-in to a URL. Raises NotDelivered."""
    post_webhook(url, secret, check_in.id, json.dumps(message(check_in), ensure_ascii=False))


@hookimpl
def register_targets(settings: Settings) -> Iterable[Target]:
    if unknown := set(settings.secrets) - set(settings.urls):
        raise ValueError(f"plugin.forward.secrets: {min(unknown)} is the name of no URL")
    for name, url in settings.urls.items():
        try:
            require_webhook_url(url)
        except ValueError as error:
            raise ValueError(f"plugin.forward.urls: {name}: {error}") from None
        if name not in settings.secrets:
            raise ValueError(
                f"plugin.forward.secrets: there is no secret for {name}; set HUB_PLUGIN_FORWARD_SECRETS="
                f"{name}=whsec_…, made with: openssl rand -base64 24"
            )
        try:
            require_webhook_secret(settings.secrets[name])
        except ValueError as error:
            raise ValueError(f"plugin.forward.secrets: {name}: {error}") from None
        yield Target(name=name, send=partial(send, url, settings.secrets[name]))
