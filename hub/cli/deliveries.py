"""``attendance-hub deliveries``: search, show and replay what the hub has kept."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import tzinfo
from functools import partial
from typing import Any, TypeVar

import click

from hub.api import shown
from hub.cli.desk import told
from hub.cli.options import PLUGIN_SETTINGS, setting_options
from hub.cli.progress import progress
from hub.cli.store import existing_store
from hub.cli.terminal import as_json, lines_of, local, show
from hub.cli.writing import Writing, desk, opened, over
from hub.config.load import load
from hub.domain import subjects
from hub.domain.delivery import Attempt, KeptDelivery, Outcome
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
@click.option("--json", "in_json", is_flag=True, help="A JSON object a line.")
@setting_options("database", "time_zone")
def list_(limit: int, in_json: bool, config_file: str | None, **options: Any) -> None:
    """List deliveries, the newest first."""
    filters, settings = _split(options)
    configured = load(settings, config_file).settings
    wanted = search.filters(filters, configured.time_zone)
    told = 0
    with existing_store(configured.database) as store:
        for kept in _all(store, wanted):
            if limit and told == limit:
                show(f"there are more than {limit}; see --limit", err=True)
                break
            show(as_json(shown.summary(kept)) if in_json else _line(kept, configured.time_zone))
            told += 1
    if wanted.event and not in_json:
        what = "1 delivery" if told == 1 else f"{told} deliveries"
        show(f"{what} (no head count: refused and repeated ones count too)")


@deliveries.command("show")
@click.argument("delivery")
@click.option("--json", "in_json", is_flag=True, help="As JSON.")
@setting_options("database", "time_zone")
def show_(delivery: str, in_json: bool, config_file: str | None, **options: Any) -> None:
    """Show everything that is kept of a delivery, with all its attempts."""
    settings = load(options, config_file).settings
    with existing_store(settings.database) as store, store.reading() as db:
        kept = replay.find(db, delivery)
        attempts = kept_deliveries.attempts(db, kept)
    if in_json:
        for line in lines_of(as_json(shown.whole(kept, attempts), indent=2)):
            show(line)
        return
    for line in _told(kept, attempts, settings.time_zone):
        show(line)


@deliveries.command("replay")
@click.argument("ids", nargs=-1, metavar="[DELIVERY]...")
@_filter_options
@click.option("--waiting", is_flag=True, help="Those whose student or event exists now.")
@click.option("--dry-run", is_flag=True, help="Tell what would become of each, and change nothing.")
@click.option(
    "--set",
    "meant",
    multiple=True,
    metavar="WHAT=VALUE",
    help="Take each as meaning this: event=, on=, at= or student=.",
)
@click.option("--reason", metavar="TEXT", help="With --set: why; it is kept.")
@setting_options("database", *PLUGIN_SETTINGS, "time_zone")
def replay_(
    ids: tuple[str, ...],
    waiting: bool,
    dry_run: bool,
    meant: tuple[str, ...],
    reason: str | None,
    config_file: str | None,
    **options: Any,
) -> None:
    """Attempt deliveries again: those named, or all that match and are not in the record.

    --waiting can be narrowed by the other filters. With --dry-run each is tried on its own, as if the
    others were not. With --set each is replayed at the desk, which can be undone. The exit status is 1
    if one of them was not applied.
    """
    filters, settings = _split(options)
    configuration = load(settings, config_file).settings
    wanted = search.filters(filters, configuration.time_zone)
    if bool(ids) is (waiting or not wanted.is_empty):
        raise Refused("Name either ids of deliveries, or filters such as --status and --waiting")
    means = _meant(meant)
    if means and dry_run:
        raise Refused("--set is not tried: what it does can be undone")
    with opened(configuration) as hub:
        total = len(ids)
        chosen: Iterable[str] = ids
        if not ids:
            with hub.store.reading() as db:
                asked = wanted.replayable().wanted(db, with_body=True)
                total = kept_deliveries.count(db, asked)
            chosen = hub.replays.matching(asked)
        if waiting:
            chosen = ready = list(hub.replays.ready(asked))
            total = len(ready)
        if means:
            # Found before one of them is changed.
            chosen = list(chosen)
        attempt = partial(_replay_one, hub.replays, dry_run)
        if means:
            attempt = partial(_replay_at_the_desk, over(hub), means, reason)
        worst = _replay(attempt, chosen, total, dry_run)
        if not dry_run:
            hub.upkeep.apply_waiting()
    sys.exit(worst)


def _meant(texts: Sequence[str]) -> dict[str, str]:
    """What deliveries are taken as meaning."""
    found: dict[str, str] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or name not in ("event", "on", "at", "student"):
            raise Refused(f"Invalid --set: {text}; use event=, on=, at= or student=")
        found[name] = value
    return found


def _replay_at_the_desk(
    hub: Writing, means: Mapping[str, str], reason: str | None, identifier: str
) -> tuple[str, str]:
    try:
        done = desk(hub, "replay", {"delivery": identifier, **means}, reason)
    except Refused as refused:
        return f"{identifier}  {refused.error}", "refused"
    return f"{identifier}  {told(done)}", "applied"


def _replay(
    attempt: Callable[[str], tuple[str, str]], ids: Iterable[str], total: int, dry_run: bool
) -> int:
    outcomes: dict[str, int] = {}
    with progress("replaying", total) as one_more:
        for identifier in ids:
            line, outcome = attempt(identifier)
            show(line)
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
            one_more(1)
    told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    tried = "tried, and nothing changed" if dry_run else "replayed"
    show(f"{sum(outcomes.values())} {tried}" + (f": {told}" if told else ""))
    return int(any(outcome not in ("applied", "ignored") for outcome in outcomes))


def _replay_one(replays: replay.Replays, dry_run: bool, identifier: str) -> tuple[str, str]:
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


def _line(kept: KeptDelivery, zone: tzinfo) -> str:
    delivery = kept.delivery
    said = shown.error_of(kept.answer) or ""
    waits = f"  waits for {_awaited(kept.waiting, zone)}" if kept.waiting else ""
    tried = f"  ({kept.attempts} attempts)" if kept.attempts > 1 else ""
    received = local(delivery.received_at, zone)
    columns = (delivery.id, received, delivery.source, kept.outcome, str(_status(kept)), said)
    return "  ".join(columns).rstrip() + waits + tried


def _status(kept: KeptDelivery) -> int:
    return kept.status if kept.told is None else kept.told.status


def _awaited(waiting: str, zone: tzinfo) -> str:
    """What a delivery waits for; where the event must start near a moment, from when to when."""
    if (near := subjects.is_near(waiting)) is None:
        return waiting
    name, begin, end = near
    return f"{subjects.awaited_event(name)} from {local(begin, zone)} to {local(end, zone)}"


def _told(kept: KeptDelivery, attempts: Sequence[Attempt], zone: tzinfo) -> Iterator[str]:
    whole = shown.whole(kept, attempts)
    received = local(kept.delivery.received_at, zone)
    yield f"delivery {whole['id']} to {whole['source']}, received {received}"
    yield f"outcome: {whole['outcome']}" + (
        f", waits for {_awaited(kept.waiting, zone)}" if kept.waiting else ""
    )
    if kept.told is not None:
        told = json.dumps(kept.told.body, ensure_ascii=False)
        yield f"its sender was told: {kept.told.status} {told}"
    for attempt in attempts:
        answer = json.dumps(json.loads(attempt.answer), ensure_ascii=False)
        yield f"attempt {attempt.number}, {local(attempt.at, zone)}: {attempt.outcome}"
        yield f"  {attempt.status} {answer}"
    if whole["method"] != "POST" or whole["path"] or whole["query"]:
        query = f"?{whole['query']}" if whole["query"] else ""
        yield f"request: {whole['method']} {whole['path'] or ''}{query}"
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
    if whole["fetched"] is not None:
        yield "fetched:"
        yield from _lines(json.dumps(whole["fetched"]))


def _lines(body: str) -> Sequence[str]:
    try:
        return lines_of(json.dumps(json.loads(body), indent=2, ensure_ascii=False))
    except ValueError:
        return lines_of(body)
