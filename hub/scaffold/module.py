"""The module of a new source, as text: formatted and typed as ruff and mypy want it."""

import builtins
import json
import keyword
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

from hub.scaffold.look import Look
from hub.scaffold.mapping import (
    Proposal,
    Role,
    comes_in,
    goes_out,
    is_card,
    is_phone,
    tells_of_check_in,
)
from hub.scaffold.members import EACH, Member, Path, words
from hub.wire.credentials import Basic, SecretIn
from hub.wire.hmacs import Ed25519, Hmac
from hub.wire.jwt import Jwt
from hub.wire.signatures import (
    GITHUB_SIGNATURE,
    ONETAP_SIGNATURE,
    OPEN,
    SHARED_SECRET,
    STANDARD_WEBHOOKS,
    WEBHOOK_SIGNATURE,
    Authentication,
    HmacSha256,
    SharedSecret,
)

_CONSTANTS = {
    id(OPEN): "OPEN",
    id(WEBHOOK_SIGNATURE): "WEBHOOK_SIGNATURE",
    id(GITHUB_SIGNATURE): "GITHUB_SIGNATURE",
    id(ONETAP_SIGNATURE): "ONETAP_SIGNATURE",
    id(SHARED_SECRET): "SHARED_SECRET",
    id(STANDARD_WEBHOOKS): "STANDARD_WEBHOOKS",
}


ASK = "# ?"
"""How a comment begins that asks what could not be known."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What says that a payload is a check-in: the path of a member, its value, and the header that it is
    from, if any.
    """

    path: Path
    value: str
    header: str | None


@dataclass(frozen=True, slots=True)
class Draft:
    """What is known of a source: its names, what its members mean, how it signs and looks, whether that
    it signs so is known, and which members have an address.
    """

    name: str
    module: str
    proposal: Proposal
    scheme: Authentication
    kind: Kind | None
    suspicious: Sequence[str]
    look: Look
    is_scheme_known: bool = True
    addresses: Sequence[str] = ()


def literal(text: str) -> str:
    """A text as Python has it, with double quotes unless that needs more escapes."""
    quoted = json.dumps(text, ensure_ascii=False)
    return repr(text) if '"' in text and "'" not in text else quoted


def module_text(draft: Draft) -> str:
    """The whole module."""
    writer = _Writer(draft)
    body = [*writer.kind(), *writer.moment(), *writer.normalize(), *writer.register()]
    return "\n".join([*writer.head(), "", "", *body]) + "\n"


class _Writer:
    """Writes the parts of a module, and remembers what they use."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._proposal = draft.proposal
        self._names = {"Operation", "Source", "hookimpl"}
        self._variable = _loop_variable(draft.proposal.loop)
        self._time_form: str | None = None
        self._identifier_marks: list[str] = []

    def head(self) -> list[str]:
        draft = self._draft
        typing = ["from collections.abc import Iterable, Iterator, Mapping"]
        if self._time_form:
            typing.append("from datetime import datetime")
        imports = [*typing, "from pathlib import Path", "from typing import Any", ""]
        known = sorted(self._names, key=_import_order)
        line = f"from hub import {', '.join(known)}"
        if len(line) > 100:
            line = "\n".join(["from hub import (", *(f"    {name}," for name in known), ")"])
        return [
            f'"""The source {draft.name}: what it takes, as operations."""',
            "",
            *imports,
            line,
            "",
            f'SCHEMA = Path(__file__).with_name("{draft.module}.schema.json")',
        ]

    def kind(self) -> Iterator[str]:
        kind = self._draft.kind
        if kind is None:
            return
        yield "def kind(payload: Mapping[str, Any]) -> str:"
        yield '    """Which schema a payload must satisfy: the hub records nothing of any other event."""'
        told = f"payload.get({literal(kind.path[0])})"
        if len(kind.path) > 1:
            yield "    told: Any = payload"
            yield f"    for name in ({', '.join(literal(name) for name in kind.path)}):"
            yield "        told = told.get(name) if isinstance(told, Mapping) else None"
            told = "told"
        mark = "" if tells_of_check_in(kind.value) else f"  {ASK} does that tell of who came?"
        yield f'    return "check_in" if {told} == {literal(kind.value)} else "other"{mark}'
        yield ""
        yield ""

    def moment(self) -> Iterator[str]:
        """A reader of moments, where they are not in ISO 8601."""
        for role in (Role.TIME, Role.EVENT_START):
            member = self._proposal.get(role)
            if member is not None and (form := member.moment) and "%" in form:
                self._time_form = self._time_form or form
        if self._time_form is None:
            return
        self._names.add("Refused")
        form, mend = literal(self._time_form), literal(f"Write it as {self._time_form}")
        yield "def moment(text: str) -> datetime:"
        yield "    try:"
        yield f"        return datetime.strptime(text, {form})"
        yield "    except ValueError:"
        yield f'        raise Refused("Invalid time", {mend}) from None'
        yield ""
        yield ""

    def normalize(self) -> Iterator[str]:
        yield "def normalize(payload: Mapping[str, Any]) -> Iterator[Operation]:"
        yield '    """What the hub shall record of a payload that satisfies the schema."""'
        if self._draft.kind is not None:
            self._names.add("Ignore")
            yield '    if kind(payload) == "other":'
            yield '        yield Ignore(reason="Nothing is recorded of this event")'
            yield "        return"
        yield from self._way("    ", in_loop=False)
        if not self._identifiers():
            self._names.add("Ignore")
            yield f"    {ASK} no member looks like a student: yield CheckIn(student=…, event=…)."
            if self._draft.addresses:
                where = ", ".join(self._draft.addresses)
                yield f"    {ASK} is there more to fetch at {where}? See docs/senders.md, Fetching."
            yield '    yield Ignore(reason="It is not known yet what this records")'
        elif self._variable is None:
            yield from self._operations("    ")
        else:
            array = _expression("payload", self._proposal.loop[:-1])  # type: ignore[index]
            yield f"    for {self._variable} in {array}:"
            yield from self._way("        ", in_loop=True)
            yield from self._operations("        ")
        yield ""
        yield ""

    def _way(self, indent: str, in_loop: bool) -> Iterator[str]:
        """Who goes out is not recorded as coming in."""
        member = self._proposal.get(Role.DIRECTION)
        if member is None or in_loop is not (EACH in member.path):
            return
        told = comes_in(member)
        condition = f"!= {literal(told)}" if told else f"== {literal(goes_out(member) or '')}"
        self._names.add("Ignore")
        yield f"{indent}if {self._value(member)} {condition}:"
        yield f'{indent}    yield Ignore(reason="Only who comes in is recorded")  {ASK} or CheckOut'
        yield f"{indent}    {'continue' if in_loop else 'return'}"

    def _operations(self, indent: str) -> Iterator[str]:
        identifiers = self._identifiers()
        names = list(self._student_names(indent))
        mark = next((one for one in self._identifier_marks if one), "")
        student = f"{indent}    student={identifiers[0]},{mark}"
        if names:
            self._names.add("SaveStudent")
            yield from (line for line in names if not line.startswith(f"{indent}    "))
            yield f"{indent}yield SaveStudent("
            if len(identifiers) == 1:
                yield f"{indent}    identifiers=({identifiers[0]},),{mark}"
            else:
                yield f"{indent}    identifiers=("
                marked = zip(identifiers, self._identifier_marks, strict=True)
                yield from (f"{indent}        {one},{asks}" for one, asks in marked)
                yield f"{indent}    ),"
            yield from (line for line in names if line.startswith(f"{indent}    "))
            yield f"{indent})"
            student = ""
        event = yield from self._event(indent)
        self._names.add("CheckIn")
        if not student or not event:
            saved = " and ".join(
                what for what, one in (("student", student), ("event", event)) if not one
            )
            yield f"{indent}# The {saved} saved above."
        arguments = [one for one in (student, event, *self._at(indent)) if one]
        yield f"{indent}yield CheckIn("
        yield from arguments
        yield f"{indent}    repeatable=True,"
        yield f"{indent})"

    def _identifiers(self) -> list[str]:
        """The student's identifiers as expressions; text where a number or an e-mail is enough."""
        proposal = self._proposal
        has_names = any(proposal.get(role) for role in (Role.FULL_NAME, Role.FIRST_NAME))
        found: list[str] = []
        self._identifier_marks = marks = []
        for role, constant in ((Role.A_NUMBER, "A_NUMBER"), (Role.EMAIL, "EMAIL")):
            member = proposal.get(role)
            if member is None:
                continue
            if has_names:
                self._names |= {"Identifier", constant}
                found.append(f"Identifier({constant}, {self._text(member)})")
            else:
                found.append(self._text(member))
            marks.append(self._mark(role))
        own = proposal.get(Role.PERSON_ID)
        if own is not None and (has_names or not found):
            self._names.add("Identifier")
            kind = f'"{self._draft.module}_person"'
            if is_card(own):
                self._names.add("CARD")
                kind = "CARD"
            elif is_phone(own):
                kind = '"phone"'
            found.append(f"Identifier({kind}, {self._text(own)})")
            marks.append(self._mark(Role.PERSON_ID))
        return found

    def _student_names(self, indent: str) -> Iterator[str]:
        """The lines that give a student a name; those before the operation have no deeper indent."""
        full, first, last = (
            self._proposal.get(role) for role in (Role.FULL_NAME, Role.FIRST_NAME, Role.LAST_NAME)
        )
        if first is not None:
            yield f"{indent}    first_name={self._text(first)},"
            if last is not None:
                yield f"{indent}    last_name={self._text(last)},"
        elif full is not None:
            yield f'{indent}first_name, _, last_name = {self._text(full)}.strip().partition(" ")'
            yield f"{indent}    first_name=first_name,"
            yield f"{indent}    last_name=last_name,"

    def _event(self, indent: str) -> Generator[str, None, str]:
        """Yields the operation that makes the event, and returns how the check-in names it."""
        proposal = self._proposal
        name, own, starts = (
            proposal.get(role) for role in (Role.EVENT_NAME, Role.EVENT_ID, Role.EVENT_START)
        )
        starts = starts or (proposal.get(Role.TIME) if own is not None else None)
        if name is not None and starts is not None:
            self._names |= {"SaveEvent", "Identifier"}
            called, begins, told = self._text(name), self._value(starts), ""
            if own is None:
                # Without an id, two of one name on one day would be one event.
                yield f"{indent}event = {called}"
                yield f"{indent}begins = {begins}"
                called, begins, told = "event", "begins", 'f"{event} {begins}"'
            else:
                told = self._text(own)
            made = f'Identifier("{self._draft.module}_event", {told})'
            yield f"{indent}yield SaveEvent("
            yield f"{indent}    identifiers=({made},),"
            yield f"{indent}    name={called},{self._mark(Role.EVENT_NAME)}"
            starts_mark = self._mark(Role.EVENT_START)
            if proposal.get(Role.EVENT_START) is None:
                starts_mark = f"  {ASK} when does it start?"
            yield f"{indent}    starts_at={self._read(starts, begins)},{starts_mark}"
            yield f"{indent})"
            return ""
        meant = name or own
        if meant is None:
            return f'{indent}    event="Weekly Meeting",  {ASK} no member looks like an event'
        mark = self._mark(Role.EVENT_NAME if name is not None else Role.EVENT_ID)
        return f"{indent}    event={self._text(meant)},{mark}"

    def _at(self, indent: str) -> Iterator[str]:
        time = self._proposal.get(Role.TIME)
        if time is not None:
            mark = self._mark(Role.TIME)
            yield f"{indent}    at={self._read(time, self._value(time))},{mark}"
        else:
            yield f"{indent}    {ASK} no member tells when: the time of receipt counts"

    def _mark(self, *roles: Role) -> str:
        """A question behind a line whose member is a guess."""
        own = next((role for role in roles if role in self._proposal.roles), None)
        return f"  {ASK} {own}" if own in self._proposal.unsure else ""

    def _text(self, member: Member) -> str:
        value = self._value(member)
        return value if member.are_texts else f"str({value})"

    def _value(self, member: Member) -> str:
        loop = self._proposal.loop
        if self._variable and loop and member.path[: len(loop)] == loop:
            return _expression(self._variable, member.path[len(loop) :])
        return _expression("payload", member.path)

    def _read(self, member: Member, value: str) -> str:
        """``value``, which the member has, read as a moment."""
        form = member.moment or ""
        if form == "iso":
            self._names.add("parse_timestamp")
            return f"parse_timestamp({value})"
        if "%" in form:
            return f"moment({value})"
        self._names.add("parse_unix_seconds")
        number = f"int({value})" if form.startswith("digits") else value
        return f"parse_unix_seconds({number}{' / 1000' if 'milli' in form else ''})"

    def register(self) -> Iterator[str]:
        draft, kind = self._draft, self._draft.kind
        yield "@hookimpl"
        yield "def register_sources() -> Iterable[Source]:"
        if draft.scheme is OPEN:
            yield f"    {ASK} anyone who reaches the hub may post: nothing looks like a credential."
        elif not draft.is_scheme_known:
            yield f"    {ASK} no spelling of a signature is known to fit, so nobody gets in."
            if draft.suspicious:
                yield f"    # These look like credentials: {', '.join(draft.suspicious)}."
        yield "    yield Source("
        yield f"        name={literal(draft.name)},"
        is_in_path = isinstance(draft.scheme, SecretIn) and draft.scheme.place == "path:secret"
        yield f"        path={literal(draft.name + ('/{secret}' if is_in_path else ''))},"
        if draft.look.own_path:
            yield f"        {ASK} is its path fixed? Then: paths=({literal(draft.look.own_path)},),"
        yield from self._scheme()
        yield from self._sender()
        if kind is not None:
            if kind.header is not None:
                yield f"        headers={{{literal(kind.path[0])}: {literal(kind.header)}}},"
            yield "        kind=kind,"
            yield '        schema={"check_in": SCHEMA, "other": {"type": "object"}},'
        else:
            yield "        schema=SCHEMA,"
        yield "        normalize=normalize,"
        delivery = self._proposal.get(Role.DELIVERY)
        if delivery is not None and self._draft.proposal.loop is None:
            mark = self._mark(Role.DELIVERY)
            yield f"        delivery_key=lambda payload: {self._text(delivery)},{mark}"
        yield "    )"

    def _sender(self) -> Iterator[str]:
        """What the requests look like, where that is not JSON by POST."""
        look = self._draft.look
        if look.methods != ("POST",):
            inner = ", ".join(literal(one) for one in look.methods)
            yield f"        methods=({inner}{',' if len(look.methods) == 1 else ''}),"
        if look.written != "JSON_OBJECT":
            self._names.add(look.written.partition("(")[0])
            yield f"        body={look.written},"
        if look.rows:
            yield '        rows="",'
        if look.members:
            inner = ", ".join(f"{literal(k)}: {literal(one)}" for k, one in look.members.items())
            yield f"        members={{{inner}}},"
        if look.handshakes:
            self._names.add("handshakes")
            inner = ", ".join(f"handshakes.{one}" for one in look.handshakes)
            yield f"        handshakes=({inner},),"

    def _scheme(self) -> Iterator[str]:
        scheme = self._draft.scheme
        if (constant := _CONSTANTS.get(id(scheme))) is not None:
            self._names.add(constant)
            yield f"        authenticate={constant},"
        elif isinstance(scheme, SharedSecret):
            self._names.add("SharedSecret")
            prefix = f", prefix={literal(scheme.prefix)}" if scheme.prefix else ""
            yield f"        authenticate=SharedSecret({literal(scheme.header)}{prefix}),"
        elif isinstance(scheme, Hmac | Ed25519):
            self._names.add(type(scheme).__name__)
            yield from _made(scheme, ("scheme", "place"))
        elif isinstance(scheme, SecretIn | Jwt):
            self._names.add(type(scheme).__name__)
            if isinstance(scheme, Jwt) and scheme.jwks:
                yield f"        {ASK} where are the sender's public keys, and for whom are its tokens?"
            yield from _made(scheme, ("place",))
        elif isinstance(scheme, Basic):
            self._names.add("Basic" if scheme.user else "BASIC")
            written = f"Basic({literal(scheme.user)})" if scheme.user else "BASIC"
            yield f"        authenticate={written},"
        elif isinstance(scheme, HmacSha256):
            self._names.add("HmacSha256")
            yield "        authenticate=HmacSha256("
            yield f"            {literal(scheme.scheme)},"
            yield f"            {literal(scheme.header)},"
            for name in ("timestamp_header", "id_header", "signed", "encoding", "prefix"):
                value = getattr(scheme, name)
                if value is not None and value != HmacSha256.__dataclass_fields__[name].default:
                    yield f"            {name}={literal(value)},"
            yield "        ),"


def _made(scheme: Any, first: Sequence[str]) -> Iterator[str]:
    """The lines that make a scheme: its first arguments, and those that have not their defaults."""
    name = type(scheme).__name__
    yield f"        authenticate={name}("
    yield from (f"            {literal(getattr(scheme, one))}," for one in first)
    for entry in fields(scheme):
        value = getattr(scheme, entry.name)
        if (
            entry.name in first
            or not entry.init
            or entry.name == "scheme"
            or value == entry.default
        ):
            continue
        if isinstance(value, tuple):
            inner = ", ".join(literal(one) for one in value)
            yield f"            {entry.name}=({inner}{',' if len(value) == 1 else ''}),"
        else:
            yield f"            {entry.name}={literal(value)},"
    yield "        ),"


def _expression(variable: str, path: Path) -> str:
    return variable + "".join(f"[{literal(name)}]" for name in path)


_TAKEN = frozenset(dir(builtins)) | {
    "begins",
    "datetime",
    "event",
    "first_name",
    "kind",
    "last_name",
    "moment",
    "normalize",
    "payload",
}
"""Names that mean something else in a module."""


def _loop_variable(loop: Path | None) -> str | None:
    """What an item of the array is called: the array's name without its s."""
    if loop is None:
        return None
    named = "_".join(words(loop[-2])) if len(loop) > 1 and loop[-2] != EACH else ""
    singular = named[:-1] if named.endswith("s") else ""
    is_free = singular.isidentifier() and not keyword.iskeyword(singular) and singular not in _TAKEN
    return singular if is_free else "item"


def _import_order(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest, as isort has them."""
    if name.isupper():
        return 0, name
    return (1 if name[0].isupper() else 2), name
