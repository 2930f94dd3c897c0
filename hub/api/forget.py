"""Forgetting over HTTP: all that tells of a student is removed, for good, once the name is repeated."""

from collections.abc import Iterator

from hub.api.access import NO_STORE, Asked, Door
from hub.api.listing import read_id
from hub.api.route import Route
from hub.domain.tokens import Scope
from hub.errors import NotFound, Refused
from hub.intake import answers
from hub.intake.answers import Answer
from hub.intake.tokens import Tokens
from hub.jobs import forget
from hub.record import roster
from hub.store.store import Store
from hub.wire.strict_json import parse

_LARGEST = 16_384


class ForgetApi:
    """What begins here, the hub goes on with by itself."""

    def __init__(self, store: Store, tokens: Tokens) -> None:
        self._store = store
        self._door = Door(tokens, NO_STORE)

    def routes(self) -> Iterator[Route]:
        """One, for each student."""
        yield self._door.route(
            "POST",
            "/api/students/<student>/forget",
            self._forget,
            Scope.ADMIN,
            lane="work",
            body_limit=_LARGEST,
        )

    def _forget(self, asked: Asked, student: str) -> Answer:
        number = read_id(student)
        with self._store.reading() as db:
            found = roster.students_of(db, [number], counted=False) if number else []
        if not found:
            raise NotFound(f"Student with identifier {student[:64]} not found")
        person, identifiers = found[0].person, found[0].identifiers
        if not identifiers:
            raise Refused("The student has no identifier", "Give one first")
        name = person.name or identifiers[0].value
        if parse(asked.body).get("name") != name:
            raise Refused("The name is another one", "Repeat the student's name as it is shown")
        named = f"{identifiers[0].kind}:{identifiers[0].value}"
        done = forget.ask(self._store, named)
        return answers.answer(
            200,
            {
                "success": True,
                "message": "The student is forgotten",
                "details": "What else tells of them is searched for, and removed, within minutes",
                "attendances": done.attendances,
            },
        )
