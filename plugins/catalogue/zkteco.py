"""ZKTeco attendance terminals, which push what they have read (ADMS, "Push SDK").

Format: the "Attendance PUSH Communication Protocol" of ZKTeco, 2.4: tab-separated rows to
/iclock/cdata. What
could not be confirmed with a terminal: the codes of its states beyond 0 (in) and 1 (out).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from hub import (
    CheckIn,
    CheckOut,
    DelimitedRows,
    Handshake,
    Happened,
    Identifier,
    Ignore,
    Known,
    Operation,
    Reply,
    Request,
    Source,
    hookimpl,
    parse_timestamp,
    setting,
)

COLUMNS = ("pin", "time", "state", "verified_by", "work_code", "reserved_1", "reserved_2")
OUT = ("1", "5")
OTHERS = ("getrequest", "devicecmd", "ping")
OPTIONS = (
    "GET OPTION FROM: {}\nStamp=0\nErrorDelay=60\nDelay=30\nTransInterval=1\n"
    "TransFlag=1000000000\nRealtime=1\nEncrypt=0\n"
)


@dataclass(frozen=True)
class Settings:
    terminals: Mapping[str, str] = setting("Event by the serial number of the terminal", {})
    pins: str = setting("What a user's PIN is: a_number, card, or a kind of its own", "zkteco_pin")


def kind(payload: Mapping[str, Any]) -> str:
    return "attendance" if payload.get("table") == "ATTLOG" else "other"


def normalize(settings: Settings, row: Mapping[str, Any]) -> Iterator[Operation]:
    if kind(row) == "other":
        yield Ignore(reason="Only attendances are recorded")
        return
    about: dict[str, Any] = {"student": Identifier(settings.pins, row["pin"].strip())}
    about |= {"event": settings.terminals[row["terminal"]], "at": parse_timestamp(row["time"])}
    out = row.get("state") in OUT
    yield CheckOut(**about) if out else CheckIn(**about, repeatable=True)


def hello(request: Request, secrets: Sequence[str]) -> Reply | None:
    asked = request.path.rstrip("/").rpartition("/")[2]
    if asked == "cdata" and request.method == "GET":
        return Reply(OPTIONS.format(dict(request.query_pairs).get("SN", "")))
    return Reply("OK") if asked in OTHERS else None


def reply(happened: Happened) -> Reply:
    # Whatever a terminal is told but OK, it sends again for ever; what was refused is kept.
    return Reply(f"OK: {sum(happened.rows.values())}" if happened.rows else "OK")


@hookimpl
def register_sources(settings: Settings) -> Iterable[Source]:
    schema = "https://attendance-hub.example/schemas/catalogue/zkteco.json"
    yield Source(
        name="zkteco",
        path="zkteco",
        paths=("/iclock/cdata", *(f"/iclock/{one}" for one in OTHERS)),
        authenticate=Known("query:SN", frozenset(settings.terminals)),
        body=DelimitedRows(COLUMNS),
        members={"terminal": "query:SN", "table": "query:table"},
        rows="",
        handshakes=(Handshake(hello, signed=True, methods=("GET", "POST")),),
        reply=reply,
        kind=kind,
        schema={"attendance": schema, "other": {}},
        normalize=partial(normalize, settings),
    )
