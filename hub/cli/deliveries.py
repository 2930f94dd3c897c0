"""``attendance-hub deliveries``: search, show and replay what the hub has kept."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import click

from hub.api import shown
from hub.cli.options import setting_options
from hub.cli.progress import progress
from hub.cli.store import existing_store
from hub.config.load import load
from hub.domain.delivery import KeptDelivery, Outcome
from hub.domain.timestamps import format_utc
from hub.errors import Refused
from hub.jobs import replay
from hub.record import deliveries as kept_deliveries
from hub.record import search
from hub.store.store import Store

Command = TypeVar("Command", bound=Callable[..., Any])
_PAGE = 200


@click.group()
def deliveries() -> None:
    """Search, show and replay the deliveries that the hub has kept."""


def _filter_options(command: Command) -> Command:
    words = ", ".join([*Outcome, "waiting"])
    for name, about in (
        ("event", "About this event: its id or its name."),
        ("student", "About this student: an A-number, an e-mail, or KIND:VALUE."),
        ("since", "Received since: a date, a date and time, or a time ago such as 36h or 7d."),
        ("source", "Sent to this source."),
        ("status", f"With this outcome ({words}) or HTTP status."),
    ):
        command = click.option(f"--{name}", metavar="VALUE", help=about)(command)
    return command


@deliveries.command("list")
@_filter_options
@click.option("--limit", type=click.IntRange(0), default=50, show_default=True, help="0: all.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object a line.")
@setting_options("database", "time_zone")
def list_(limit: int, as_json: bool, config_file: str | None, **options: Any) -> None:
    """List deliveries, the newest first."""
    filters, settings = _split(options)
    configured = load(settings, config_file).settings
    wanted = search.filters(filters, configured.time_zone)
    with existing_store(configured.database) as store:
        for told, kept in enumerate(_all(store, wanted)):
            if limit and told == limit:
                click.echo(f"there are more than {limit}; see --limit", err=True)
                break
            click.echo(json.dumps(shown.summary(kept)) if as_json else _line(kept))


@deliveries.command()
@click.argument("delivery")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@setting_options("database")
def show(delivery: str, as_json: bool, config_file: str | None, **options: Any) -> None:
    """Show everything that is kept of a delivery, with all its attempts."""
    with (
        existing_store(load(options, config_file).settings.database) as store,
        store.reading() as db,
    ):
        kept = replay.find(db, delivery)
        whole = shown.whole(kept, kept_deliveries.attempts(db, kept))
    if as_json:
        click.echo(json.dumps(whole, indent=2))
        return
    for line in _told(whole):
        click.echo(_plain(line))


@deliveries.command("replay")
@click.argument("ids", nargs=-1, metavar="[DELIVERY]...")
@_filter_options
@click.option("--waiting", is_flag=True, help="All whose student or event exists now.")
@click.option("--dry-run", is_flag=True, help="Tell what would become of each, and change nothing.")
@setting_options("database", "plugins", "without", "time_zone")
def replay_(
    ids: tuple[str, ...], waiting: bool, dry_run: bool, config_file: str | None, **options: Any
) -> None:
    """Attempt deliveries again: those named, or all that match and are not in the record.

    With --dry-run each is tried on its own, as if the others were not. The exit status is 1 if one
    of them was not applied.
    """
    from hub.hub import Hub

    filters, settings = _split(options)
    configuration = load(settings, config_file).settings
    wanted = search.filters(filters, configuration.time_zone)
    if bool(ids) + waiting + (not wanted.is_empty) != 1:
        raise Refused("Use one of these: ids of deliveries, filters such as --status, or --waiting")
    hub = Hub(configuration, create_store=False)
    try:
        total = len(ids)
        chosen: Iterable[str] = ids
        if waiting:
            chosen = ready = list(hub.replays.ready())
            total = len(ready)
        elif not ids:
            with hub.store.reading() as db:
                asked = wanted.replayable().wanted(db, with_body=True)
                total = kept_deliveries.count(db, asked)
            chosen = hub.replays.matching(asked)
        worst = _replay(hub.replays, chosen, total, dry_run)
        if not dry_run:
            hub.upkeep.apply_waiting()
    finally:
        hub.close()
    sys.exit(worst)


def _replay(replays: replay.Replays, ids: Iterable[str], total: int, dry_run: bool) -> int:
    outcomes: dict[str, int] = {}
    with progress("replaying", total) as one_more:
        for identifier in ids:
            line, outcome = _replay_one(replays, identifier, dry_run)
            click.echo(_plain(line))
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
            one_more(1)
    told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    tried = "tried, and nothing changed" if dry_run else "replayed"
    click.echo(f"{sum(outcomes.values())} {tried}" + (f": {told}" if told else ""))
    return int(any(outcome not in ("applied", "ignored") for outcome in outcomes))


def _replay_one(replays: replay.Replays, identifier: str, dry_run: bool) -> tuple[str, str]:
    """The line that tells of a replay, and its outcome in a word."""
    try:
        done = replays.replay(identifier, trial=dry_run)
    except Refused as refused:
        mend = f" ({refused.details})" if refused.details else ""
        return f"{identifier}  {refused.error}{mend}", "not replayable"
    settled = done.settlement
    said = shown.error_of(settled.answer)
    became = f"{done.before.outcome} -> {settled.outcome}  {settled.status}"
    return f"{identifier}  {became}" + (f"  {said}" if said else ""), str(settled.outcome)


def _split(options: dict[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    """The filters and the settings among the options."""
    filters = {name: options.pop(name) for name in search.NAMES if options.get(name) is not None}
    return filters, {k: v for k, v in options.items() if k not in search.NAMES}


def _all(store: Store, filters: search.Filters) -> Iterator[KeptDelivery]:
    cursor: str | None = ""
    while cursor is not None:
        with store.reading() as db:
            found, cursor = search.page(db, filters.wanted(db), _PAGE, cursor)
        yield from found


def _line(kept: KeptDelivery) -> str:
    delivery = kept.delivery
    said = shown.error_of(kept.answer) or ""
    waits = f"  waits for {kept.waiting}" if kept.waiting else ""
    tried = f"  ({kept.attempts} attempts)" if kept.attempts > 1 else ""
    received = format_utc(delivery.received_at.replace(microsecond=0))
    columns = (delivery.id, received, delivery.source, kept.outcome, str(kept.status), said)
    return _plain("  ".join(columns).rstrip() + waits + tried)


def _told(whole: dict[str, Any]) -> Iterator[str]:
    yield f"delivery {whole['id']} to {whole['source']}, received {whole['received_at']}"
    yield f"outcome: {whole['outcome']}" + (
        f", waits for {whole['waiting_for']}" if whole["waiting_for"] else ""
    )
    for attempt in whole["attempts"]:
        answer = json.dumps(attempt["answer"], ensure_ascii=False)
        yield f"attempt {attempt['number']}, {attempt['at']}: {attempt['outcome']}"
        yield f"  {attempt['status']} {answer}"
    yield "headers:"
    for name, value in whole["headers"].items():
        yield f"  {name}: {value}"
    if whole["emptied"]:
        yield f"no body: {whole['emptied']}"
    elif "body_base64" in whole:
        yield f"body, not UTF-8, in Base64: {whole['body_base64']}"
    else:
        yield "body:"
        yield from _lines(whole["body"])


def _lines(body: str) -> Sequence[str]:
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False).splitlines()
    except ValueError:
        return body.splitlines()


def _plain(text: str) -> str:
    """Text that cannot steer a terminal: what a sender wrote is in it."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )
