"""The commands that read the record: who came, how often, how many; and that write it to a file."""

import json
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from hub.cli.asking import Query
from hub.cli.options import PLUGIN_SETTINGS, hub_options, setting_options
from hub.cli.progress import progress
from hub.cli.reading import Reading, get, no_sources, part, reading, rows
from hub.cli.store import existing_store
from hub.cli.tables import bars, table
from hub.cli.terminal import as_json, local, show, write
from hub.config.load import load
from hub.config.settings import Settings
from hub.domain.timestamps import utc_now
from hub.errors import NotFound, Refused
from hub.jobs.whole import export_all
from hub.record.doubts import Kind, Sources
from hub.record.reports import By, Order
from hub.record.whole import count

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class _Asked:
    """What every command that reads is told: the settings, which hub, and what to write."""

    settings: Settings
    url: str | None
    token: str | None
    in_json: bool = False
    in_csv: bool = False
    xlsx: Path | None = None

    def record(
        self, sources: Callable[[], Sources] = no_sources
    ) -> AbstractContextManager[Reading]:
        """Where it is read from."""
        return reading(self.settings, self.url, self.token, sources)


def _reads(*names: str, forms: bool = True) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The options of every command that reads: where from, as what, and the settings ``names``. The
    command is given them as one.
    """

    def decorate(run: Callable[..., None]) -> Callable[..., None]:
        @wraps(run)
        def command(config_file: str | None, **options: Any) -> None:
            own = {name: options.pop(name) for name in names}
            told = {name: options.pop(name) for name in _TOLD if name in options}
            run(_Asked(load(own, config_file).settings, **told), **options)

        decorated = setting_options(*names)(command)
        for option in reversed(_AS if forms else ()):
            decorated = option(decorated)
        return hub_options(decorated)

    return decorate


_TOLD = ("url", "token", "in_json", "in_csv", "xlsx")
_AS = (
    click.option("--json", "in_json", is_flag=True, help="A JSON object a line."),
    click.option("--csv", "in_csv", is_flag=True, help="As CSV."),
    click.option("--xlsx", type=click.Path(path_type=Path), help="Write an XLSX file."),
)


def _period(command: Command) -> Command:
    for name, about in (
        ("type", "Events of this type."),
        ("name", "Events of this name."),
        ("to", "Events up to this date (inclusive), or before this moment."),
        ("from", "Events from this date or moment on."),
    ):
        command = click.option(f"--{name}", f"{name}_", metavar="VALUE", help=about)(command)
    return command


@click.command()
@click.argument("event")
@click.option("--on", metavar="DATE", help="Of several events of the name, the one on this date.")
@click.option("--withdrawn", is_flag=True, help="Those who were withdrawn instead.")
@_reads("database", "time_zone")
def who(
    asked: _Asked,
    event: str,
    on: str | None,
    withdrawn: bool,
) -> None:
    """Who came to EVENT: an id, or a name. Of several of the name it is the last one that has begun."""
    with asked.record() as record:
        meant = event_of(record, event, on)
        path = f"/api/events/{meant['id']}/attendances"
        query = {"state": "withdrawn"} if withdrawn else {}
        if _written(record, path, query, asked):
            return
        found = list(rows(record, f"{path}/", "attendances", query))
    zone = asked.settings.time_zone
    show(_about(meant, zone))
    lines = [
        (
            one["student"]["name"],
            _identity(one["student"]),
            _clock(one["checked_in_at"], zone),
            _clock(one["checked_out_at"], zone),
            one["source"],
        )
        for one in sorted(found, key=lambda one: (one["checked_in_at"], one["id"]))
    ]
    if lines:
        _table(("name", "identifier", f"in ({zone})", "out", "source"), lines)


@click.command()
@click.argument("student")
@_reads("database", "time_zone")
def student(
    asked: _Asked,
    student: str,
) -> None:
    """What a student attended. STUDENT is an A-number, an e-mail, KIND:VALUE, id:NUMBER, or a part of a
    name that one student has.
    """
    with asked.record() as record:
        meant = _student(record, student)
        path = f"/api/students/{meant['id']}/attendances"
        if _written(record, path, {}, asked):
            return
        found = list(rows(record, f"{path}/", "attendances"))
    named = ", ".join(f"{one['kind']} {one['value']}" for one in meant["identifiers"])
    show(f"{meant['name'] or '(no name)'}  (student {meant['id']}: {named or 'no identifier'})")
    show(f"{counted(meant['attendances'], 'attendance')}, {counted(meant['points'], 'point')}")
    zone = asked.settings.time_zone
    lines = [
        (
            one["event"]["name"],
            one["event"]["date"],
            _clock(one["checked_in_at"], zone),
            _clock(one["checked_out_at"], zone),
            str(one["points"]),
            one["source"],
        )
        for one in sorted(found, key=lambda one: (one["event"]["starts_at"], one["id"]))
    ]
    if lines:
        _table(("event", "date", f"in ({zone})", "out", "points", "source"), lines)


@click.group()
def report() -> None:
    """Who came how often, and how many came to what and when."""


@report.command("students")
@_period
@click.option("--at-least", type=click.IntRange(0), help="Attended so many. 0: everybody.")
@click.option("--order", type=click.Choice([one.value for one in Order]), help="Who comes first.")
@_reads("database", "time_zone")
def report_students(
    asked: _Asked,
    at_least: int | None,
    order: str | None,
    **period: Any,
) -> None:
    """How many of the events each student attended, and the points."""
    query = _given(**period, at_least=at_least, order=order)
    path = "/api/reports/students"
    with asked.record() as record:
        if _written(record, path, query, asked):
            return
        of = get(record, f"{path}/", {**query, "limit": "1"})["of"]
        found = list(rows(record, f"{path}/", "students", query))
    show(f"{counted(of, 'event')} so far; {counted(len(found), 'student')}")
    lines = [
        (
            one["student"]["name"],
            _identity(one["student"]),
            f"{one['attended']} of {one['of']}",
            "" if one["rate"] is None else f"{one['rate']:.0%}",
            str(one["points"]),
        )
        for one in found
    ]
    if lines:
        _table(("name", "identifier", "attended", "rate", "points"), lines)


@report.command("events")
@_period
@click.option(
    "--by", type=click.Choice([one.value for one in By]), default="event", show_default=True,
    help="What is counted together.",
)  # fmt: skip
@click.option("--chart", is_flag=True, help="Bars instead of a table.")
@_reads("database", "time_zone")
def report_events(
    asked: _Asked,
    by: str,
    chart: bool,
    **period: Any,
) -> None:
    """How many came to each event, or in each day, week or month."""
    query = _given(**period, by=by)
    path = "/api/reports/events"
    with asked.record() as record:
        if _written(record, path, query, asked):
            return
        found = list(rows(record, f"{path}/", "rows", query))
    if chart:
        for line in bars([(_period_of(one), one["students"]) for one in found]):
            show(line)
        return
    counts = [(str(one["attendances"]), str(one["students"]), str(one["points"])) for one in found]
    if by == By.EVENT:
        told = [
            (str(one["event"]["id"]), one["event"]["name"], one["event"]["date"]) for one in found
        ]
        heading: tuple[str, ...] = ("id", "event", "date")
    else:
        told, heading = [(one["period"],) for one in found], (by,)  # type: ignore[misc]
    lines = [(*first, *count) for first, count in zip(told, counts, strict=True)]
    if lines:
        _table((*heading, "attendances", "students", "points"), lines)


@click.command()
@click.option("--kind", type=click.Choice([one.value for one in Kind]), help="Of this kind alone.")
@_reads("database", *PLUGIN_SETTINGS, "time_zone")
def doubts(
    asked: _Asked,
    kind: str | None,
) -> None:
    """Where the record may be wrong."""
    from hub.cli.sources import configured

    query = _given(kind=kind)
    with asked.record(lambda: configured(asked.settings)) as record:
        if _written(record, "/api/doubts", query, asked):
            return
        found = list(rows(record, "/api/doubts/", "doubts", query))
    if not found:
        show("there is no doubt")
        return
    lines = [(one["kind"], _in_doubt(one), one["message"]) for one in found]
    _table(("kind", "about", "why"), lines)


@click.command()
@click.argument("what", type=click.Choice(["events", "students", "attendances", "all"]))
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--event", metavar="VALUE", help="Attendances of this event: its id or its name.")
@click.option("--student", metavar="VALUE", help="Attendances of this student.")
@click.option("--from", "from_", metavar="DATE", help="From this date or moment on.")
@click.option("--to", "to_", metavar="DATE", help="Up to this date, or before this moment.")
@click.option("--state", metavar="VALUE", help="Which: shown, hidden, all; of attendances: present, "
              "left, withdrawn, all.")  # fmt: skip
@click.option("--evidence", is_flag=True, help="Attendances with all that was said of each.")
@click.option("--for-excel", is_flag=True, help="CSV that Excel reads, and that it does not run.")
@_reads("database", "time_zone", forms=False)
def export(
    asked: _Asked,
    what: str,
    file: Path,
    event: str | None,
    student: str | None,
    from_: str | None,
    to_: str | None,
    state: str | None,
    evidence: bool,
    for_excel: bool,
) -> None:
    """Write all events, students or attendances to FILE: .csv, .xlsx or .jsonl, as it is called. "all"
    writes the whole record, deliveries included, as JSON Lines, for: attendance-hub import all FILE
    """
    if what == "all":
        _export_all(asked, file)
        return
    form = file.suffix[1:].lower()
    if form not in ("csv", "xlsx", "jsonl"):
        raise Refused(f"{file.name} is no file that can be written; call it .csv, .xlsx or .jsonl")
    query = _given(event=event, student=student, from_=from_, to_=to_, state=state)
    query |= {"evidence": "true"} if evidence else {}
    query |= {"for": "excel"} if for_excel else {}
    with asked.record() as record:
        size = _save(record.chunks(f"/api/{what}.{form}", query), file)
    show(f"{file}: {counted(size, 'byte')}")


def _export_all(asked: _Asked, file: Path) -> None:
    if asked.url is not None:
        raise Refused("export all is for a store: leave out --url")
    with existing_store(asked.settings.database) as store:
        with store.reading() as db:
            total = count(db)
        with progress("exporting", total) as some_more:
            size = _save(export_all(store, some_more), file)
    show(f"{file}: {counted(size, 'byte')}")


def _given(**options: Any) -> dict[str, str]:
    """The options that were given, as parameters."""
    return {name.rstrip("_"): str(value) for name, value in options.items() if value is not None}


def _written(record: Reading, path: str, query: Query, asked: _Asked) -> bool:
    """Write a listing in the form that is asked for; whether one is."""
    forms = (asked.in_json, asked.in_csv, asked.xlsx is not None)
    if sum(forms) > 1:
        raise Refused("Use one of these: --json, --csv, --xlsx")
    if asked.in_json:
        rest = b""
        for piece in record.chunks(f"{path}.jsonl", query):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                show(as_json(json.loads(line)))
    elif asked.in_csv:
        for piece in record.chunks(f"{path}.csv", query):
            write(piece)
    elif asked.xlsx is not None:
        size = _save(record.chunks(f"{path}.xlsx", query), asked.xlsx)
        show(f"{asked.xlsx}: {counted(size, 'byte')}")
    return any(forms)


def _save(chunks: Iterable[bytes], file: Path) -> int:
    """Write a file, which is there as a whole or as it was before; how many bytes it has."""
    partial = file.with_name(f"{file.name}.part")
    try:
        with partial.open("wb") as opened:
            for piece in chunks:
                opened.write(piece)
            size = opened.tell()
        partial.replace(file)
    except OSError as error:
        raise Refused(f"{file} cannot be written: {error.strerror}") from None
    finally:
        partial.unlink(missing_ok=True)
    return size


def event_of(record: Reading, text: str, on: str | None) -> Any:
    """The event that is meant: by its id, or of those of the name the last one that has begun."""
    if on is not None:
        try:
            date.fromisoformat(on)
        except ValueError:
            raise Refused("Invalid --on: use a date such as 2026-11-12") from None
    if text.isascii() and text.isdigit() and text[0] != "0" and on is None:
        try:
            return get(record, f"/api/events/{part(text)}/")
        except Refused as refused:
            if "not found" not in refused.error:
                raise
    named = [
        one
        for one in rows(record, "/api/events/", "events", {"name": text} if text.strip() else {})
        if one["name"] == text and (on is None or one["date"] == on)
    ]
    if not named:
        raise NotFound(f"Event with identifier {text} not found" + (f" on {on}" if on else ""))
    now = f"{utc_now().isoformat()}Z"
    named.sort(key=lambda one: (one["starts_at"], one["id"]))
    return next((one for one in reversed(named) if one["starts_at"] <= now), named[0])


def _student(record: Reading, text: str) -> Any:
    """The student whom an identifier means, or whose name has the text in it."""
    try:
        query = {"identifier": text, "state": "all"}
        found = list(rows(record, "/api/students/", "students", query))
    except Refused as refused:
        if not refused.error.startswith("Invalid identifier"):
            raise
        found = []
    # Of those who were merged, the one that is kept is meant.
    found = [one for one in found if one["merged_into"] is None]
    if not found and text.strip():
        found = list(rows(record, "/api/students/", "students", {"q": text}))
    if not found:
        raise NotFound(f"Student with identifier {text} not found")
    if len(found) > 1:
        named = "; ".join(f"{one['name']} (id:{one['id']})" for one in found[:10])
        more = f"; and {len(found) - 10} more" if len(found) > 10 else ""
        raise Refused(f"{len(found)} students are meant by {text}: {named}{more}")
    return found[0]


def _about(event: Any, zone: tzinfo) -> str:
    starts = local(_moment(event["starts_at"]), zone)
    counts = f"{event['attendances']} came"
    if event["attendances"] != event["present"]:
        counts += f", {event['present']} have not left"
    if event["withdrawn"]:
        counts += f", {event['withdrawn']} withdrawn"
    return f"{event['name']}, {starts} (event {event['id']}): {counts}"


def counted(number: int, what: str) -> str:
    """So many of something, in words."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _identity(person: Any) -> str:
    return str(person["identifier"] or person["email"] or f"id:{person['id']}")


def _in_doubt(doubt: Any) -> str:
    for what in ("attendance", "student", "event"):
        if what in doubt:
            name = doubt[what].get("name") or doubt.get("student", {}).get("name") or ""
            return f"{what} {doubt[what]['id']} {name}".rstrip()
    return str(doubt.get("delivery"))


def _period_of(row: Any) -> str:
    if "period" in row:
        return str(row["period"])
    return f"{row['event']['date']} {row['event']['name']}"


def _clock(text: str | None, zone: tzinfo) -> str:
    """A moment in the hub's zone, which the heading names."""
    if text is None:
        return ""
    return local(_moment(text), zone).removesuffix(f" {zone}")


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text[:-1])


def _table(heading: Iterable[str], lines: Iterable[Iterable[str]]) -> None:
    for line in table(tuple(heading), [tuple(one) for one in lines]):
        show(line)
