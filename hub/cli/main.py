"""The command and its subcommands. Expected failures are one line and exit status 2."""

import logging
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from hub.cli import check as checks
from hub.cli import record
from hub.cli.deliveries import deliveries
from hub.cli.desk import desk
from hub.cli.imports import import_, reconcile
from hub.cli.options import PLUGIN_SETTINGS, setting_options
from hub.cli.terminal import show
from hub.config.described import described
from hub.config.load import load
from hub.domain.tokens import Scope
from hub.errors import HubError, Refused, SettingError
from hub.log import keep_plain
from hub.version import __version__


class _Group(click.Group):
    """The hub's own commands, and those that plugins add."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *self._of_plugins()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        # None of the hub's own can be replaced.
        return super().get_command(ctx, cmd_name) or self._of_plugins().get(cmd_name)

    def _of_plugins(self) -> Mapping[str, click.Command]:
        from hub.plugin.loading import Plugins

        group = click.Group()
        try:
            Plugins(load().settings).hooks.register_commands(group)
        except HubError:
            return {}  # the command itself will tell, if it needs the settings
        return group.commands

    def main(self, *args: Any, **kwargs: Any) -> Any:
        keep_plain()
        try:
            return super().main(*args, **kwargs)
        except HubError as error:
            mend = getattr(error, "details", None)
            show(f"attendance-hub: {error}" + (f" ({mend})" if mend else ""), err=True)
            sys.exit(2)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Take in check-ins from everywhere, and keep one truthful attendance record."""


@main.command()
@setting_options()
def serve(config_file: str | None, **options: Any) -> None:
    """Serve the webhooks."""
    from hub.cli.serve import serve as run

    run(load(options, config_file))


@main.command()
@setting_options("database")
def migrate(config_file: str | None, **options: Any) -> None:
    """Bring the store's schema up to date."""
    from hub.store.database import parse_address
    from hub.store.store import migrate as run

    database = load(options, config_file).settings.database
    applied = run(database)
    done = f"applied {len(applied)} steps" if applied else "it is up to date"
    show(f"{parse_address(database).shown}: {done}")


@main.command()
@setting_options()
def config(config_file: str | None, **options: Any) -> None:
    """Print the settings in force and where each value came from."""
    from hub.plugin.loading import Plugins
    from hub.store.database import parse_address

    configuration = load(options, config_file)
    settings = configuration.settings
    database = parse_address(settings.database).shown
    lines: list[tuple[str, str, str]] = list(described(settings, configuration.origins, database))
    for plugin in Plugins(settings).loaded:
        for name, value, origin in plugin.section.described():
            lines.append((f"plugin.{plugin.name}.{name}", value, origin))
    for name, value, origin in lines:
        show(f"{name} = {value}  ({origin})")


main.add_command(deliveries)
for _reading in (record.who, record.student, record.report, record.doubts, record.export):
    main.add_command(_reading)
for _writing in (desk, import_, reconcile):
    main.add_command(_writing)


@main.command()
@click.option("--available", is_flag=True, help="List those that the setting enable can load.")
@setting_options(*PLUGIN_SETTINGS)
def plugins(available: bool, config_file: str | None, **options: Any) -> None:
    """List the plugins: version, origin, hooks and sources, and why one is not loaded.

    The exit status is 1 if one is not.
    """
    from hub.cli.plugins import catalogue, report
    from hub.plugin.loading import Plugins

    settings = load(options, config_file).settings
    if available:
        for line in catalogue(settings):
            show(line)
        return
    log = logging.getLogger("hub.plugin")
    level = log.level
    log.setLevel("CRITICAL")  # the report says what the log would
    try:
        found = Plugins(settings)
        lines = list(report(found, settings))
    finally:
        log.setLevel(level)
    for line in lines:
        show(line)
    sys.exit(1 if found.failed else 0)


@main.command("try")
@click.argument("plugin")
@click.argument("fixtures", type=click.Path(path_type=Path))
@click.option("--source", help="The source to post to, if the plugin has several.")
@click.option("--accept", is_flag=True, help="Save the results as the expected ones.")
@click.option("--config", "config_file", metavar="FILE", help="TOML file with settings.")
def try_(
    plugin: str, fixtures: Path, source: str | None, accept: bool, config_file: str | None
) -> None:
    """Post a plugin's FIXTURES through a fresh hub, and show what it makes of them.

    PLUGIN is a .py file or a plugin's name; FIXTURES a folder of files <event>__<variant>.json, or one of
    them. Headers come from <name>.headers.json beside one. With <name>.expected.json beside it, it is
    compared; the exit status is 1 where it differs, or where the plugin failed. The students and events
    that check-ins name are made before.
    """
    from hub.cli.trial import run

    sys.exit(0 if run(plugin, fixtures, source, accept, load({}, config_file).settings) else 1)


@main.command()
@click.option(
    "--minutes",
    type=click.IntRange(1, 7 * 24 * 60),
    default=60,
    show_default=True,
    help="How long it is open.",
)
@click.option(
    "--url", help="Where the hub is reached from outside, such as https://hub.example.edu."
)
@click.option("--show", "shown", type=int, metavar="ID", help="Show what a capture has taken.")
@click.option("--list", "listed", is_flag=True, help="List the captures.")
@setting_options("host", "port", "database", "time_zone")
def capture(
    minutes: int,
    url: str | None,
    shown: int | None,
    listed: bool,
    config_file: str | None,
    **options: Any,
) -> None:
    """Open a secret URL on the running hub that keeps what is posted there, and answers 202.

    What was captured becomes a source of its own with: attendance-hub new-source NAME --from-capture ID.
    """
    from hub.cli.capture import run

    run(load(options, config_file).settings, minutes, url, shown, listed)


@main.group()
def token() -> None:
    """Make, list and revoke tokens: who may read the record, or post."""


@token.command("create")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice([scope.value for scope in Scope]),
    help="What it may do; may be repeated.",
)
@click.option("--source", "sources", multiple=True, help="Post to this source alone.")
@click.option("--expires", metavar="TIME", help="How long it is valid, such as 12h or 30d.")
@setting_options("database")
def token_create(
    name: str,
    scopes: tuple[str, ...],
    sources: tuple[str, ...],
    expires: str | None,
    config_file: str | None,
    **options: Any,
) -> None:
    """Print a new token. It is shown once, and works at once on a running hub.

    counts: events, head counts and reports of events. read: the whole record. post: to sources with
    signature = "token". desk: read, correct, import. metrics: the metrics. admin: everything.
    """
    from hub.cli import tokens

    show(tokens.create(load(options, config_file).settings, name, scopes, sources, expires))


@token.command("list")
@setting_options("database", "time_zone")
def token_list(config_file: str | None, **options: Any) -> None:
    """List the tokens: name, scopes, expiry, last use."""
    from hub.cli import tokens

    for line in tokens.listed(load(options, config_file).settings):
        show(line)


@token.command("revoke")
@click.argument("name")
@setting_options("database")
def token_revoke(name: str, config_file: str | None, **options: Any) -> None:
    """Have a token open nothing any more, within a second."""
    from hub.cli import tokens

    tokens.revoke(load(options, config_file).settings, name)
    show(f"{name} is revoked")


@main.command()
@click.option(
    "--retry",
    "again",
    metavar="TARGET",
    help="Send at once what failed or was given up for a target.",
)
@click.option("--discard", metavar="TARGET", help="Delete what waits for a target.")
@setting_options("database", *PLUGIN_SETTINGS)
def outbox(again: str | None, discard: str | None, config_file: str | None, **options: Any) -> None:
    """Show what still has to be sent on to each target, and what was given up."""
    from hub.cli.outbox import run

    for line in run(load(options, config_file).settings, again, discard):
        show(line)


@main.command("new-source")
@click.argument("name")
@click.option(
    "--from-capture",
    "captures",
    multiple=True,
    metavar="ID|FILE",
    help="A capture's id, or a file with a request as HTTP has it, or with its JSON body.",
)
@click.option(
    "--secret",
    "secrets",
    multiple=True,
    help="What the requests may be signed with; the configured secrets are tried as well.",
)
@click.option(
    "--into", "folder", type=click.Path(path_type=Path), help="The new folder. Default: NAME."
)
@setting_options("database")
def new_source(
    name: str,
    captures: tuple[str, ...],
    secrets: tuple[str, ...],
    folder: Path | None,
    config_file: str | None,
    **options: Any,
) -> None:
    """Write a source of your own, NAME: module, schema, fixtures, tests and packaging.

    From captured requests it infers the schema, proposes what their members mean, and finds the signature
    that a secret fits. The fixtures have invented persons and ids in place of the captured ones.
    """
    from hub.cli.new_source import run

    run(load(options, config_file).settings, name, captures, secrets, folder)


@main.command()
@click.option("--dry-run", is_flag=True, help="Show the differences.")
@click.option("--apply", "apply_", is_flag=True, help="Make the record what was derived.")
@click.option("--yes", "sure", is_flag=True, help="With --apply: do not ask.")
@setting_options("database", *PLUGIN_SETTINGS, "time_zone")
def rebuild(
    dry_run: bool, apply_: bool, sure: bool, config_file: str | None, **options: Any
) -> None:
    """Derive the attendances again from all kept deliveries, show the differences, and with --apply make
    the record what was derived, which can be undone at the desk.

    It uses the plugins as they are now. After a plugin's bug is mended, this shows what the bug did. The
    exit status is 1 if something is different, and stays so.
    """
    from hub.cli.rebuild import rebuild as run

    if dry_run == apply_:
        raise SettingError("rebuild: add --dry-run to see the differences, or --apply")
    run(load(options, config_file).settings, apply_, sure)


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--verify", is_flag=True, help="Derive its attendances anew from its deliveries.")
@setting_options("database", *PLUGIN_SETTINGS, "time_zone")
def backup(file: Path, verify: bool, config_file: str | None, **options: Any) -> None:
    """Write a backup of the store to the new FILE, while hubs go on.

    With --verify the exit status is 1 where its deliveries tell something else than its record.
    """
    from hub.cli.backup import back_up

    back_up(load(options, config_file).settings, file, verify)


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--replace", "replaces", is_flag=True, help="Move the store that there is aside.")
@setting_options("database")
def restore(file: Path, replaces: bool, config_file: str | None, **options: Any) -> None:
    """Put the backup FILE in the place of the store, while no hub runs."""
    from hub.cli.restore import restore as run

    run(load(options, config_file).settings, file, replaces)


@main.command()
@click.argument("student", required=False)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--resume", is_flag=True, help="Go on with what was not completed.")
@click.option("--list", "listed", is_flag=True, help="List the requests, and how far they are.")
@setting_options("database", "time_zone")
def forget(
    student: str | None,
    yes: bool,
    resume: bool,
    listed: bool,
    config_file: str | None,
    **options: Any,
) -> None:
    """Remove a person's data everywhere, deliveries included; head counts stay.

    STUDENT is an A-number, an e-mail, or KIND:VALUE for another identifier. Whom it means is shown before
    it is done. What was begun and not completed, a hub that serves completes within some minutes.
    """
    from hub.cli import forget as forgetting

    if (student is not None) + resume + listed != 1:
        raise Refused("Use one of these: a STUDENT, --resume, or --list")
    settings = load(options, config_file).settings
    if student is not None:
        forgetting.forget(settings, student, yes)
    elif resume:
        forgetting.resume(settings)
    else:
        forgetting.listed(settings)


@main.command()
@click.argument("url")
@click.option("--secret", envvar="WEBHOOK_SECRET", help="Check the secure endpoint too, signed.")
def check(url: str, secret: str | None) -> None:
    """Try the hub at URL with a few deliveries: a line for each check.

    It makes a student, two events and attendances with names of its own that nothing else has.
    They stay in the record.
    """
    results = checks.run(url, secret)
    for result in results:
        show(str(result))
    failed = sum(not result.passed for result in results)
    show(f"{len(results) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


@main.command()
@click.argument("url", required=False)
@click.option(
    "--connections",
    type=click.IntRange(1, 10_000),
    default=16,
    show_default=True,
    help="How many post at the same time.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, 3600),
    default=5.0,
    show_default=True,
    help="For how long.",
)
@click.option("--allow-remote", is_flag=True, help="Also drive a hub on another machine.")
def bench(url: str | None, connections: int, seconds: float, allow_remote: bool) -> None:
    """Measure how many check-ins a second the hub at URL takes, or a throw-away one on this machine.

    The students and events that it makes stay in the record of the hub at URL, named bench-….
    """
    from hub.cli import bench as benches

    with benches.throw_away_hub() if url is None else nullcontext(url) as target:
        measured = benches.run(target, connections, seconds, allow_remote)
    for line in benches.report(measured):
        show(line)
    sys.exit(0 if measured.statuses[201] and not measured.errors else 1)
