"""``attendance-hub desk``: what is wrong in the record is put right, with a reason and an undo."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from hub.cli.options import PLUGIN_SETTINGS, hub_options, setting_options
from hub.cli.terminal import as_json, show
from hub.cli.writing import desk as posted
from hub.cli.writing import writing
from hub.config.load import load
from hub.errors import Refused

_STUDENT, _EVENT = ("student",), ("event",)
_WHEN = {"on": "A date in the hub's zone: of several events of the name, the one then.",
         "at": "A moment."}  # fmt: skip
_ATTENDANCE = {"attendance": "The attendance by its id, in place of STUDENT and EVENT."}
_NAMES = {
    "first_name": "First name.",
    "last_name": "Last name.",
    "preferred_name": "How they are called.",
    "is_admin": "true or false.",
}
_OF_EVENT = {
    "name": "Name.",
    "starts_at": "Its start.",
    "ends_at": "Its end; - for none.",
    "event_type": "Type.",
    "points": "Points.",
    "description": "Description.",
    "location": "Location.",
}

ACTIONS: Mapping[str, tuple[str, Sequence[str], Mapping[str, str]]] = {
    "check-in": ("They were there.", ("student", "event"), _WHEN),
    "check-out": ("They left.", ("[student]", "[event]"), {**_ATTENDANCE, **_WHEN}),
    "withdraw": ("They were not there.", ("[student]", "[event]"), {**_ATTENDANCE, **_WHEN}),
    "restore": ("What was withdrawn counts again.", ("[student]", "[event]"),
                {**_ATTENDANCE, "on": _WHEN["on"]}),
    "correct": ("Set the times of an attendance.", ("[student]", "[event]"),
                {**_ATTENDANCE, **_WHEN, "checked_in_at": "When they came.",
                 "checked_out_at": "When they left; - for not at all."}),
    "save-student": ("Change a student, or make one.", ("[student]",), _NAMES),
    "save-event": ("Change an event, or make one.", ("[event]",), {**_WHEN, **_OF_EVENT}),
    "hide-student": ("Not found, not counted.", _STUDENT, {}),
    "show-student": ("Found and counted again.", _STUDENT, {}),
    "hide-event": ("Not found, not counted.", _EVENT, _WHEN),
    "show-event": ("Found and counted again.", _EVENT, _WHEN),
    "merge-students": ("MERGE means KEEP from now on.", ("keep", "merge"), {}),
    "merge-events": ("MERGE means KEEP from now on.", ("keep", "merge"), {}),
    "split-students": ("MERGE is itself again.", ("merge",), {}),
    "split-events": ("MERGE is itself again.", ("merge",), {}),
    "replay": ("A refused delivery means somebody.", ("delivery",),
               {"student": "Whom it means.", "event": "What it means.", **_WHEN}),
    "undo": ("Take back what a delivery did.", ("delivery",), {}),
    "settle": ("Have a doubt told no more.", ("doubt",), {}),
}  # fmt: skip
"""Each action: what it is for, its arguments (those in brackets may be left out), its options."""

_WITH_IDENTIFIERS = ("save-student", "save-event")


class _Actions(click.Group):
    """The actions, which may be written as the API has them."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, cmd_name.replace("_", "-"))


@click.group(cls=_Actions)
def desk() -> None:
    """Put right what is wrong in the record. Each action is kept, and can be undone."""


def told(answer: Mapping[str, Any]) -> str:
    """An answer of the desk as a line."""
    line = str(answer["message"])
    if "attendance" in answer:
        one = answer["attendance"]
        who = one["student"]["identifier"] or one["student"]["email"] or one["student"]["id"]
        times = one["checked_in_at"] + (
            f" to {one['checked_out_at']}" if one["checked_out_at"] else ""
        )
        line += (
            f": attendance {one['id']}, {who} at {one['event']['name']}, {one['state']}, {times}"
        )
    elif "student" in answer:
        one = answer["student"]
        line += f": student {one['id']} {one['name']}".rstrip()
    elif "event" in answer:
        one = answer["event"]
        line += f": event {one['id']} {one['name']}, {one['date']}"
    if answer.get("details"):
        line += f" ({answer['details']})"
    return f"{line}  delivery {answer['delivery']}"


def _value(name: str, text: str) -> Any:
    if text == "-" and name in ("checked_out_at", "ends_at"):
        return None
    if name in ("attendance", "points"):
        try:
            return int(text)
        except ValueError:
            raise Refused(f"Invalid --{name}: it is a whole number") from None
    if name == "is_admin":
        if text not in ("true", "false"):
            raise Refused("Invalid --is-admin: use true or false")
        return text == "true"
    return text


def _identifier(text: str) -> tuple[str, str | None]:
    kind, separator, value = text.partition("=")
    if not separator or not kind:
        raise Refused(f"Invalid --identifier: {text}; use KIND=VALUE, or KIND= to take it away")
    return kind, value or None


def _command(
    action: str, about: str, arguments: Sequence[str], options: Mapping[str, str]
) -> click.Command:
    def run(
        url: str | None,
        token: str | None,
        in_json: bool,
        reason: str | None,
        config_file: str | None,
        identifiers: Sequence[str] = (),
        **given: Any,
    ) -> None:
        names = ("database", *PLUGIN_SETTINGS, "time_zone")
        settings = load({name: given.pop(name) for name in names}, config_file).settings
        data = {name: _value(name, value) for name, value in given.items() if value is not None}
        if identifiers:
            data["identifiers"] = dict(map(_identifier, identifiers))
        with writing(settings, url, token) as hub:
            answer = posted(hub, action.replace("-", "_"), data, reason)
        show(as_json(answer) if in_json else told(answer))

    command: Any = run
    command = setting_options("database", *PLUGIN_SETTINGS, "time_zone")(command)
    command = click.option("--json", "in_json", is_flag=True, help="The whole answer.")(command)
    command = hub_options(command)
    command = click.option("--reason", metavar="TEXT", help="Why; it is kept.")(command)
    if action in _WITH_IDENTIFIERS:
        command = click.option(
            "--identifier",
            "identifiers",
            multiple=True,
            metavar="KIND=VALUE",
            help="Such as a_number=A12345678; KIND= takes it away.",
        )(command)
    for name, what in reversed(list(options.items())):
        command = click.option(f"--{name.replace('_', '-')}", name, metavar="VALUE", help=what)(
            command
        )
    for name in reversed(arguments):
        bare = name.strip("[]")
        command = click.argument(bare, required=bare == name)(command)
    return click.command(action, help=about)(command)


for _name, _spec in ACTIONS.items():
    desk.add_command(_command(_name, *_spec))
