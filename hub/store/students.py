"""Students in the store: found by identifiers, created, changed, hidden."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from hub.domain.identifiers import A_NUMBER, EMAIL, SINGLE, Identifier, student_identifier
from hub.domain.operations import CreateStudent, HideStudent, SaveStudent, UpdateStudent
from hub.domain.records import Change, Result, StudentRecord
from hub.errors import Conflicting, NotFound
from hub.store import changes, outbox
from hub.store.context import Context
from hub.store.transaction import Statement, Transaction

_RECORD = """
    SELECT s.id, s.first_name, s.last_name, s.is_admin,
        (SELECT shown FROM student_identifier WHERE student = s.id AND kind = 'a_number') AS a_number,
        (SELECT shown FROM student_identifier WHERE student = s.id AND kind = 'email') AS email
    FROM student s"""
FIND = Statement(f"""{_RECORD}
    JOIN student_identifier i ON i.student = s.id
    WHERE i.kind = ? AND i.value = ? AND s.hidden_at IS NULL""")
BY_ID = f"{_RECORD} WHERE s.id = ?"
OWNER = """
    SELECT s.id, s.hidden_at IS NOT NULL FROM student_identifier i JOIN student s ON s.id = i.student
    WHERE i.kind = ? AND i.value = ?"""
OWN = "SELECT kind, value, shown FROM student_identifier WHERE student = ?"
INSERT = """
    INSERT INTO student (first_name, last_name, is_admin, source, metadata, delivery, created_at,
        updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id"""
UPDATE = """
    UPDATE student SET first_name = ?, last_name = ?, is_admin = ?, updated_at = ?, hidden_at = NULL,
        hidden_by = NULL, hidden_firmly = FALSE
    WHERE id = ?"""
HIDE = """
    UPDATE student SET hidden_at = ?, updated_at = ?, hidden_by = ?, hidden_firmly = ? WHERE id = ?"""
FORGET = """
    UPDATE student SET first_name = '', last_name = '', preferred_name = '', is_admin = ?, source = '',
        metadata = '{}', hidden_at = ?, updated_at = ?, forgotten_at = ? WHERE id = ?"""
FORGET_IDENTIFIERS = "DELETE FROM student_identifier WHERE student = ?"
FORGET_ATTENDANCES = """
    UPDATE attendance SET metadata = '{}', participant = NULL WHERE student = ? RETURNING id"""
FORGET_ATTENDANCE_IDENTIFIERS = """
    DELETE FROM attendance_identifier
    WHERE attendance IN (SELECT a.id FROM attendance a WHERE a.student = ?)"""
FORGET_EVIDENCE = """
    UPDATE evidence SET participant = NULL, idempotency_key = NULL, reason = NULL, correction = NULL
    WHERE attendance IN (SELECT a.id FROM attendance a WHERE a.student = ?)"""
FORGET_DISAGREEMENTS = """
    DELETE FROM disagreement WHERE student = ? OR EXISTS (
        SELECT 1 FROM student_identifier i
        WHERE i.student = ? AND i.kind = disagreement.kind AND i.value = disagreement.value)"""
FORGET_DISAGREEMENT = "DELETE FROM disagreement WHERE kind = ? AND value = ?"
DISAGREE = """
    INSERT INTO disagreement (delivery, student, kind, value) VALUES (?, ?, ?, ?)
    ON CONFLICT DO NOTHING"""
ADD_IDENTIFIER = "INSERT INTO student_identifier (kind, value, shown, student) VALUES (?, ?, ?, ?)"
RESPELL_IDENTIFIER = "UPDATE student_identifier SET shown = ? WHERE kind = ? AND value = ?"
DROP_IDENTIFIERS = "DELETE FROM student_identifier WHERE student = ? AND kind = ?"
RELEASE = "DELETE FROM student_identifier WHERE kind = ? AND value = ? RETURNING student"
"""Takes an identifier from a hidden student, for the one to whom it is given now."""


class _Owner(NamedTuple):
    student: int
    hidden: bool


def find(tx: Transaction, named: str | Identifier) -> StudentRecord | None:
    """The student that ``named`` names, unless hidden."""
    identifier = student_identifier(named)
    row = tx.row(FIND, identifier.kind, identifier.key)
    return record(row) if row else None


def unknown(named: str | Identifier, awaits: str | None = None) -> NotFound:
    """The refusal for a student that nobody knows, named as the sender wrote it."""
    text = named.value if isinstance(named, Identifier) else named
    return NotFound(f"Student with identifier {text} not found", awaits=awaits)


def create(tx: Transaction, operation: CreateStudent, context: Context) -> Result:
    """Create a student, or show a hidden one again. Refused where an identifier is taken."""
    hidden, of_others = _require_free(tx, operation.identifiers)
    _release(tx, of_others, context)
    if hidden is None:
        student = _insert(tx, operation, operation.is_admin, context)
    else:
        student = hidden
        _rewrite(tx, student, operation, operation.is_admin, context)
        for identifier in operation.identifiers:
            _set_identifier(tx, student, identifier)
    return _result(tx, operation, Change.CREATED, student, context)


def update(tx: Transaction, operation: UpdateStudent, context: Context) -> Result:
    """Change the members that are given. Refused where a new identifier is another student's."""
    found = next(filter(None, (find(tx, identifier) for identifier in operation.find)), None)
    if found is None:
        raise unknown(operation.find[0])
    of_others: list[Identifier] = []
    for identifier in sorted(operation.identifiers, key=_emails_first):
        owner = _owner(tx, identifier)
        if not _is_free(owner, found.id):
            raise _taken(identifier)
        if owner is not None and owner.student != found.id:
            of_others.append(identifier)
    _release(tx, of_others, context)
    for kind in {identifier.kind for identifier in operation.identifiers} - SINGLE:
        tx.run(DROP_IDENTIFIERS, found.id, kind)
    for identifier in operation.identifiers:
        _set_identifier(tx, found.id, identifier)
    tx.run(
        UPDATE,
        found.first_name if operation.first_name is None else operation.first_name,
        found.last_name if operation.last_name is None else operation.last_name,
        found.is_admin if operation.is_admin is None else operation.is_admin,
        context.received_at,
        found.id,
    )
    return _result(tx, operation, Change.UPDATED, found.id, context)


def save(tx: Transaction, operation: SaveStudent, context: Context) -> Result:
    """Find or create a student, and learn the identifiers that are nobody's."""
    owners = [_owner(tx, identifier) for identifier in operation.identifiers]
    owner = next(filter(None, owners), None)
    if owner is None:
        student = _insert(tx, operation, False, context)
        return _result(tx, operation, Change.CREATED, student, context)
    change = Change.UNCHANGED
    foreign: list[Identifier] = []
    own_kinds = {row[0] for row in tx.rows(OWN, owner.student)}
    for identifier in _distinct(operation.identifiers):
        missing = identifier.kind not in SINGLE or identifier.kind not in own_kinds
        # An A-number is changed at the desk alone.
        replaces = operation.update and identifier.kind != A_NUMBER
        holder = _owner(tx, identifier)
        is_own = holder is not None and holder.student == owner.student
        if (missing or replaces) and not is_own and _is_free(holder, owner.student):
            _release(tx, (identifier,) if holder is not None else (), context)
            _set_identifier(tx, owner.student, identifier)
            change = Change.UPDATED
        elif not is_own:
            foreign.append(identifier)
            if holder is not None or identifier.kind == A_NUMBER:
                tx.run(DISAGREE, context.delivery, owner.student, identifier.kind, identifier.key)
    renamed = operation.update and (operation.first_name or operation.last_name)
    if renamed or owner.hidden:
        _rewrite(tx, owner.student, operation if renamed else None, None, context)
        change = Change.UPDATED
    return _result(tx, operation, change, owner.student, context, tuple(foreign))


def hide(tx: Transaction, operation: HideStudent, context: Context) -> Result:
    """Hide a student from look-ups; ignored where nobody knows the student."""
    found = find(tx, operation.student)
    if found is None:
        return context.ignored(operation, "No such student")
    hidden_by = context.delivery, context.firm
    tx.run(HIDE, context.received_at, context.received_at, *hidden_by, found.id)
    changes.add(tx, changes.STUDENT_HIDDEN, found.id, context)
    return context.result(operation, Change.UPDATED, student=found)


def forget(tx: Transaction, student: int, now: datetime) -> int:
    """Remove all that tells who a student is; how many attendances of theirs stay counted."""
    tx.run(FORGET, False, now, now, now, student)
    tx.run(FORGET_DISAGREEMENTS, student, student)
    tx.run(FORGET_IDENTIFIERS, student)
    tx.run(FORGET_ATTENDANCE_IDENTIFIERS, student)
    tx.run(FORGET_EVIDENCE, student)
    tx.run(outbox.FORGET, student)
    changes.forgotten(tx, student, now)
    return len(tx.rows(FORGET_ATTENDANCES, student))


def forget_identifier(tx: Transaction, kind: str, value: str) -> None:
    """Remove that a delivery gave somebody else this identifier of a person."""
    tx.run(FORGET_DISAGREEMENT, kind, value)


def record(row: tuple[object, ...]) -> StudentRecord:
    """The student that a row of ``FIND`` tells of."""
    identifier, first_name, last_name, is_admin, a_number, email = row
    return StudentRecord(
        int(identifier),  # type: ignore[call-overload]
        str(first_name),
        str(last_name),
        bool(is_admin),
        None if a_number is None else str(a_number),
        None if email is None else str(email),
    )


def _result(
    tx: Transaction,
    operation: CreateStudent | UpdateStudent | SaveStudent,
    change: Change,
    student: int,
    context: Context,
    foreign: tuple[Identifier, ...] = (),
) -> Result:
    row = tx.row(BY_ID, student)
    assert row is not None
    if change is not Change.UNCHANGED:
        changes.add(tx, changes.STUDENT_SAVED, student, context)
    return context.result(operation, change, student=record(row), foreign=foreign)


def _owner(tx: Transaction, identifier: Identifier) -> _Owner | None:
    """Whose the identifier is, hidden students included."""
    row = tx.row(OWNER, identifier.kind, identifier.key)
    return _Owner(int(row[0]), bool(row[1])) if row else None


def _is_free(owner: _Owner | None, student: int) -> bool:
    """Whether an identifier may be given to a student: it is nobody else's, or a hidden one's."""
    return owner is None or owner.hidden or owner.student == student


def _release(tx: Transaction, identifiers: Iterable[Identifier], context: Context) -> None:
    """Take identifiers from the hidden students who have them."""
    for identifier in identifiers:
        for (student,) in tx.rows(RELEASE, identifier.kind, identifier.key):
            changes.add(tx, changes.STUDENT_HIDDEN, student, context)


def _require_free(
    tx: Transaction, identifiers: tuple[Identifier, ...]
) -> tuple[int | None, list[Identifier]]:
    """Refuse identifiers that are taken; tell the one hidden student whom they mean, if any (by the
    A-number, else by an identifier of one who has no other A-number), and those of other hidden ones.
    """
    hidden: int | None = None
    owners: list[tuple[Identifier, int]] = []
    for identifier in sorted(identifiers, key=_emails_first):
        owner = _owner(tx, identifier)
        if owner is None:
            continue
        if not owner.hidden:
            raise _taken(identifier)
        owners.append((identifier, owner.student))
        if not _is_another_person(tx, owner.student, identifiers):
            hidden = owner.student
    return hidden, [identifier for identifier, student in owners if student != hidden]


def _is_another_person(tx: Transaction, student: int, identifiers: tuple[Identifier, ...]) -> bool:
    """Whether the student has an A-number, and these identifiers another one."""
    own = {value for kind, value, _ in tx.rows(OWN, student) if kind == A_NUMBER}
    given = {identifier.key for identifier in identifiers if identifier.kind == A_NUMBER}
    return bool(own and given and own != given)


def _emails_first(identifier: Identifier) -> bool:
    return identifier.kind != EMAIL


def _taken(identifier: Identifier) -> Conflicting:
    if identifier.kind == EMAIL:
        return Conflicting(f"Student with email {identifier.text} already exists")
    if identifier.kind == A_NUMBER:
        return Conflicting(f"User with identifier {identifier.text} already exists")
    return Conflicting(f"Student with {identifier.kind} {identifier.text} already exists")


def _insert(
    tx: Transaction, operation: CreateStudent | SaveStudent, is_admin: bool, context: Context
) -> int:
    student = tx.insert(
        INSERT,
        operation.first_name,
        operation.last_name,
        is_admin,
        context.source_of(operation),
        context.metadata_of(operation),
        context.delivery,
        context.received_at,
        context.received_at,
    )
    for identifier in _distinct(operation.identifiers):
        tx.run(ADD_IDENTIFIER, identifier.kind, identifier.key, identifier.text, student)
    return student


def _distinct(identifiers: tuple[Identifier, ...]) -> Iterable[Identifier]:
    """The identifiers, each once, and of the single kinds the first."""
    kept: dict[tuple[str, str], Identifier] = {}
    for identifier in identifiers:
        name = "" if identifier.kind in SINGLE else identifier.key
        kept.setdefault((identifier.kind, name), identifier)
    return kept.values()


def _rewrite(
    tx: Transaction,
    student: int,
    names: CreateStudent | SaveStudent | None,
    is_admin: bool | None,
    context: Context,
) -> None:
    """Give a student these names (None: keep them) and show the student again."""
    row = tx.row(BY_ID, student)
    assert row is not None
    kept = record(row)
    tx.run(
        UPDATE,
        names.first_name if names else kept.first_name,
        names.last_name if names else kept.last_name,
        kept.is_admin if is_admin is None else is_admin,
        context.received_at,
        student,
    )


def _set_identifier(tx: Transaction, student: int, identifier: Identifier) -> None:
    """Make the identifier the student's; of the single kinds it replaces the student's own."""
    own = {(kind, value): shown for kind, value, shown in tx.rows(OWN, student)}
    shown = own.get((identifier.kind, identifier.key))
    if shown is None:
        if identifier.kind in SINGLE:
            tx.run(DROP_IDENTIFIERS, student, identifier.kind)
        tx.run(ADD_IDENTIFIER, identifier.kind, identifier.key, identifier.text, student)
    elif shown != identifier.text:
        tx.run(RESPELL_IDENTIFIER, identifier.text, identifier.kind, identifier.key)
