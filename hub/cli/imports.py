"""``attendance-hub import`` and ``reconcile``: files of others, into the record or beside it."""

import csv
import io
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from hub.api.imports import read_zone
from hub.api.imports import shown as as_answer
from hub.cli.options import PLUGIN_SETTINGS, hub_options, setting_options
from hub.cli.progress import progress
from hub.cli.reading import Reading, get, no_sources, reading, rows
from hub.cli.record import counted, event_of
from hub.cli.terminal import as_json, show
from hub.cli.writing import Writing, desk, writing
from hub.config.load import load
from hub.config.settings import Settings
from hub.domain.timestamps import format_utc, parse_utc
from hub.errors import Refused
from hub.jobs import whole
from hub.jobs.imports import File
from hub.jobs.reconcile import Reconciled, compare
from hub.sheets import tables
from hub.sheets.columns import Kind, wish
from hub.sheets.rows import Meeting
from hub.store.store import Store

Command = TypeVar("Command", bound=Callable[..., Any])
_MOST_TOLD = 20


def _to_a_hub(command: Command) -> Command:
    command = setting_options("database", *PLUGIN_SETTINGS, "time_zone", "import_limit")(command)
    return hub_options(command)


_FILE = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
_MAP = click.option(
    "--map", "maps", multiple=True, metavar="COLUMN:MEMBER", help="What a column is, repeated."
)


@click.command("import")
@click.argument("what", type=click.Choice([*(kind.value for kind in Kind), "all"]))
@_FILE
@_MAP
@click.option("--event", metavar="VALUE", help="Of attendances: the event of all rows.")
@click.option("--zone", metavar="NAME", help="Zone of times without an offset. Default: the hub's.")
@click.option("--dry-run", is_flag=True, help="Tell what would become of each row.")
@click.option("--results", type=click.Path(dir_okay=False, path_type=Path),
              help="Write the file back as CSV, with what became of each row.")  # fmt: skip
@click.option("--json", "in_json", is_flag=True, help="The whole answer.")
@_to_a_hub
def import_(
    what: str,
    file: Path,
    maps: tuple[str, ...],
    event: str | None,
    zone: str | None,
    dry_run: bool,
    results: Path | None,
    in_json: bool,
    url: str | None,
    token: str | None,
    config_file: str | None,
    **options: Any,
) -> None:
    """Import a roster, a calendar or an attendance sheet: CSV, XLSX or .ics. Each row is kept as a
    delivery, and an import can be undone at the desk. "all" puts a whole record into an empty store.

    The exit status is 1 if a row was refused.
    """
    settings = load(options, config_file).settings
    if what == "all":
        _import_all(settings, file, url)
        return
    with writing(settings, url, token) as hub:
        answer = _imported(hub, Kind(what), file, maps, event, zone, dry_run)
    if results is not None:
        _write_back(file, answer["results"], results)
    if in_json:
        show(as_json(answer))
    else:
        _tell(answer, dry_run)
    sys.exit(1 if answer["refused"] else 0)


def _imported(
    hub: Writing,
    kind: Kind,
    file: Path,
    maps: Sequence[str],
    event: str | None,
    zone: str | None,
    dry_run: bool,
) -> Any:
    body = file.read_bytes()
    content_type = {".ics": "text/calendar", ".csv": "text/csv"}.get(file.suffix.lower(), "")
    if hub.imports is not None:
        with progress("importing", body.count(b"\n")) as one_more:
            done = hub.imports.run(
                kind,
                File(body, content_type),
                wishes=[wish(one) for one in maps],
                event=event,
                zone=read_zone(zone),
                trial=dry_run,
                by="terminal",
                progress=one_more,
            )
        return as_answer(done)
    query: dict[str, Any] = {"map": list(maps)}
    query |= {"event": event} if event is not None else {}
    query |= {"zone": zone} if zone is not None else {}
    query |= {"dry_run": "true"} if dry_run else {}
    path = f"/api/imports/{kind.value}/"
    return hub.post(path, body, content_type or "application/octet-stream", query)


def _tell(answer: Mapping[str, Any], dry_run: bool) -> None:
    for warning in answer["warnings"]:
        show(f"warning: {warning}", err=True)
    if answer["columns"]:
        taken = ", ".join(f"{heading} is {member}" for heading, member in answer["columns"].items())
        show(f"read as {answer['form']}: {taken}")
    refused = [one for one in answer["results"] if one["outcome"] == "refused"]
    for one in refused[:_MOST_TOLD]:
        show(f"row {one['row']}: {one['message']}")
    if len(refused) > _MOST_TOLD:
        show(f"and {len(refused) - _MOST_TOLD} more; --results FILE has them all")
    for one in answer["absent"]:
        show(f"not in the file: {one['identifier'] or one['email'] or one['id']} {one['name']}")
    counts = ", ".join(
        f"{answer[one]} {one}" for one in ("created", "changed", "unchanged", "refused")
    )
    done = "tried, and nothing changed" if dry_run else f"import {answer['import']}"
    show(f"{counted(answer['rows'], 'row')}: {counts}  {done}")


def _write_back(file: Path, results: Sequence[Mapping[str, Any]], target: Path) -> None:
    """The file as CSV, with two columns more."""
    if target.suffix.lower() != ".csv":
        raise Refused(f"{target.name} is no file that can be written; call it .csv")
    sheet = tables.read(file.read_bytes())
    became = {one["row"]: one for one in results}
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    first = min(became, default=0)
    for line in sheet.lines:
        one = became.get(line.number)
        if one is not None:
            more = [one["outcome"], one.get("message", "")]
        else:
            is_heading = line.number < first and not any(
                other.number < first and other.number > line.number for other in sheet.lines
            )
            more = ["outcome", "message"] if is_heading else ["", ""]
        writer.writerow([*line.cells, *more])
    target.write_text(text.getvalue(), "utf-8", newline="")
    show(f"{target}: {counted(len(results), 'row')}")


def _import_all(settings: Settings, file: Path, url: str | None) -> None:
    if url is not None:
        raise Refused("import all is for a store: leave out --url")
    store = Store.open(settings.database)
    try:
        with file.open("rb") as lines, progress("importing", _lines_in(file)) as some_more:
            done = whole.import_all(store, lines, some_more)
    finally:
        store.close()
    show(f"{counted(done, 'row')} imported into {settings.database.partition('?')[0]}")


def _lines_in(file: Path) -> int:
    with file.open("rb") as lines:
        return sum(1 for _ in lines)


@click.command()
@_FILE
@click.option("--event", required=True, metavar="VALUE", help="The event: its id or its name.")
@click.option("--on", metavar="DATE", help="Of several events of the name, the one on this date.")
@_MAP
@click.option("--zone", metavar="NAME", help="Zone of times without an offset. Default: the hub's.")
@click.option("--apply", "apply_", is_flag=True, help="Record what is in the file alone.")
@click.option(
    "--withdraw", is_flag=True, help="With --apply: take back what is in the record alone."
)
@click.option("--json", "in_json", is_flag=True, help="The differences as a JSON object.")
@_to_a_hub
def reconcile(
    file: Path,
    event: str,
    on: str | None,
    maps: tuple[str, ...],
    zone: str | None,
    apply_: bool,
    withdraw: bool,
    in_json: bool,
    url: str | None,
    token: str | None,
    config_file: str | None,
    **options: Any,
) -> None:
    """Compare a vendor's export of an event with the record: in the file alone, in the record alone, at
    different times. The exit status is 1 if there are differences, and they are not applied.
    """
    if withdraw and not apply_:
        raise Refused("--withdraw is for --apply")
    settings = load(options, config_file).settings
    with reading(settings, url, token, no_sources) as record:
        meeting = event_of(record, event, on)
        starts_at = parse_utc(meeting["starts_at"])
        path = f"/api/events/{meeting['id']}/attendances/"
        found = compare(
            list(rows(record, path, "attendances")),
            lambda named: _known(record, named),
            Meeting(meeting["id"], starts_at),
            file.read_bytes(),
            [wish(one) for one in maps],
            read_zone(zone) or settings.time_zone,
        )
    _tell_differences(found, in_json)
    if not apply_:
        sys.exit(1 if found.differs else 0)
    why = f"reconcile {file.name}"
    with writing(settings, url, token) as hub:
        for one in found.in_file:
            at = None if one.came is None else format_utc(one.came)
            data = {
                "student": one.student,
                "event": meeting["id"],
                "at": at or meeting["starts_at"],
            }
            desk(hub, "check_in", data, why)
        if withdraw:
            for row in found.in_record:
                desk(hub, "withdraw", {"attendance": row["id"]}, why)
    done = f"{counted(len(found.in_file), 'check-in')} recorded"
    if withdraw:
        done += f", {counted(len(found.in_record), 'attendance')} withdrawn"
    show(done)


def _known(record: Reading, named: str) -> int | None:
    """The id of the student whom an identifier means."""
    try:
        found = get(record, "/api/students/", {"identifier": named})["students"]
    except Refused:
        return None
    return int(found[0]["id"]) if found else None


def _tell_differences(found: Reconciled, in_json: bool) -> None:
    if in_json:
        show(as_json(found.as_object()))
        return
    for one in found.in_file:
        at = "" if one.came is None else f"  {format_utc(one.came)}"
        show(f"+ in the file alone, row {one.row}: {one.student}{at}")
    for row in found.in_record:
        who = row["student"]["identifier"] or row["student"]["email"] or row["student"]["id"]
        show(f"- in the record alone: {who} {row['student']['name']}  {row['checked_in_at']}")
    for row, came in found.otherwise:
        who = row["student"]["identifier"] or row["student"]["email"] or row["student"]["id"]
        show(f"~ at different times: {who}  {row['checked_in_at']}, in the file {format_utc(came)}")
    for number, why in found.unread:
        show(f"? row {number}: {why}")
    show(
        f"{len(found.in_file)} in the file alone, {len(found.in_record)} in the record alone, "
        f"{len(found.otherwise)} at different times, {len(found.unread)} of nobody that is known, "
        f"{found.same} the same"
    )
