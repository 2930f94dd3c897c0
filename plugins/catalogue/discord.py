"""Discord: members of a server write /here, and choose or write an event.

Format: discord.com/developers, "Receiving and responding to interactions" and "Application commands".
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hub import (
    CheckIn,
    Ed25519,
    Happened,
    Identifier,
    Ignore,
    Operation,
    Reply,
    Source,
    handshakes,
    hookimpl,
)
from hub_plugins.chat import WORDS, sentence

COMMAND, MESSAGE, FOR_WRITER_ALONE = 2, 4, 64


def signature() -> Ed25519:
    return Ed25519(
        "discord",
        "X-Signature-Ed25519",
        signed="{header:X-Signature-Timestamp}{body}",
        timestamp="X-Signature-Timestamp",
    )


def normalize(payload: Mapping[str, Any]) -> Iterator[Operation]:
    data = payload.get("data") or {}
    if payload["type"] != COMMAND or data.get("name") not in WORDS:
        yield Ignore(reason="Only the command /here is recorded")
        return
    user = (payload.get("member") or payload)["user"]
    named = next((one["value"] for one in data.get("options") or ()), payload["channel_id"])
    yield CheckIn(student=Identifier("discord_user", user["id"]), event=named, repeatable=True)


def reply(happened: Happened) -> Reply:
    data = {"content": sentence(happened), "flags": FOR_WRITER_ALONE}
    return Reply.json({"type": MESSAGE, "data": data})


@hookimpl
def register_sources() -> Iterable[Source]:
    yield Source(
        name="discord",
        path="discord",
        authenticate=signature(),
        handshakes=(handshakes.DISCORD,),
        reply=reply,
        remove=("json:/token",),
        schema="https://attendance-hub.example/schemas/catalogue/discord.json",
        delivery_key=lambda payload: str(payload["id"]),
        normalize=normalize,
    )
