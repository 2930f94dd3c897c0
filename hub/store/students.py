"""Students in the store: found by identifiers, created, changed, hidden."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from hub.domain.identifiers import (
    A_NUMBER,
    EMAIL,
    ROW,
    SINGLE,
    Identifier,
    row_id,
    student_identifier,
)
from hub.domain.operations import CreateStudent, HideStudent, SaveStudent, UpdateStudent
from hub.domain.records import Change, Result, StudentRecord
from hub.errors import Conflicting, Contradicted, NotFound
from hub.store import changes, deeds, outbox
from hub.store.context import Context
from hub.store.members import STUDENTS
from hub.store.transaction import Statement, Transaction

_RECORD = """
    SELECT s.id, s.first_name, s.last_name, s.is_admin,
        (SELECT shown FROM student_identifier WHERE student = s.id AND kind = 'a_number') AS a_number,
        (SELECT shown FROM student_identifier WHERE student = s.id AND kind = 'email') AS email,
        s.joined
    FROM student s"""
FIND = Statement(f"""{_RECORD}
    JOIN student_identifier i ON i.student = s.id
    WHERE i.kind = ? AND i.value = ? AND s.hidden_at IS NULL""")
BY_ID = f"{_RECORD} WHERE s.id = ?"
NOT_HIDDEN = "SELECT 1 FROM student s WHERE s.id = ? AND s.hidden_at IS NULL"
ROOT = """
    SELECT coalesce(s.merged_into, s.id), r.hidden_at IS NOT NULL, r.hidden_firmly
    FROM student s JOIN student r ON r.id = coalesce(s.merged_into, s.id) WHERE s.id = ?"""
OWNER = """
    SELECT s.id, s.hidden_at IS NOT NULL, s.hidden_firmly
    FROM student_identifier i JOIN student s ON s.id = i.student
    WHERE i.kind = ? AND i.value = ?"""
EXISTS = """
    SELECT s.id, s.hidden_at IS NOT NULL, s.hidden_firmly FROM student s
    WHERE s.id = ? AND s.forgotten_at IS NULL"""
OWN = "SELECT kind, value, shown FROM student_identifier WHERE student = ?"
INSERT = """
    INSERT INTO student (first_name, last_name, is_admin, source, metadata, delivery, created_at,
        updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id"""
UPDATE = """
    UPDATE student SET first_name = ?, last_name = ?, is_admin = ?, updated_at = ?, hidden_at = NULL,
        hidden_by = NULL, hidden_firmly = FALSE
    WHERE id = ?"""
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


class Owner(NamedTuple):
    """Whose an identifier is. What is hidden ``firmly``, only who has authority shows again."""

    student: int
    hidden: bool
    firmly: bool


def find(tx: Transaction, named: str | Identifier) -> StudentRecord | None:
    """The student that ``named`` names, unless hidden; one who was merged is found as such."""
    identifier = student_identifier(named)
    if identifier.kind == ROW:
        number = row_id(identifier)
        row = tx.row(BY_ID, number) if tx.row(NOT_HIDDEN, number) else None
    else:
        row = tx.row(FIND, identifier.kind, identifier.key)
    if row is None:
        return None
    found = record(row)
    if found.joined and tx.rows(ROOT, found.id)[0][2]:
        return None
    return found


def root(tx: Transaction, student: StudentRecord) -> StudentRecord:
    """The student that this one was merged into, or itself."""
    if not student.joined:
        return student
    row = tx.row(BY_ID, root_id(tx, student.id))
    assert row is not None
    return record(row)


def root_id(tx: Transaction, student: int) -> int:
    """The id of the student that this one was merged into, or its own."""
    return int(tx.rows(ROOT, student)[0][0])


def told(tx: Transaction, student: StudentRecord) -> StudentRecord:
    """The student as answers tell it: the one that it was merged into, unless that one is hidden."""
    if not student.joined or tx.rows(ROOT, student.id)[0][1]:
        return student
    return root(tx, student)


def is_put_away(tx: Transaction, named: str | Identifier) -> bool:
    """Whether a student is hidden by somebody with authority."""
    owner = owner_of(tx, student_identifier(named))
    if owner is None:
        return False
    return owner.firmly or bool(tx.rows(ROOT, owner.student)[0][2])


def unknown(named: str | Identifier, awaits: str | None = None) -> NotFound:
    """The refusal for a student that nobody knows, named as the sender wrote it."""
    return NotFound(f"Student with identifier {shown_name(named)} not found", awaits=awaits)


def shown_name(named: str | Identifier) -> str:
    """What a student is called, as the sender wrote it."""
    if isinstance(named, str):
        return named
    return f"{ROW}:{named.value}" if named.kind == ROW else named.value


def create(tx: Transaction, operation: CreateStudent, context: Context) -> Result:
    """Create a student, or show a hidden one again. Refused where an identifier is taken."""
    hidden, of_others = hidden_one(tx, operation.identifiers)
    release(tx, of_others, context)
    if hidden is None:
        student = _insert(tx, operation, operation.is_admin, context)
    else:
        student = hidden
        _rewrite(tx, student, operation, operation.is_admin, context)
        for identifier in operation.identifiers:
            set_identifier(tx, student, identifier)
    return _result(tx, operation, Change.CREATED, student, context)


def update(tx: Transaction, operation: UpdateStudent, context: Context) -> Result:
    """Change the members that are given. Refused where a new identifier is another student's."""
    found = next(filter(None, (find(tx, identifier) for identifier in operation.find)), None)
    if found is None:
        raise unknown(operation.find[0])
    of_others: list[Identifier] = []
    for identifier in sorted(operation.identifiers, key=_emails_first):
        owner = owner_of(tx, identifier)
        if not is_free(owner, found.id):
            raise _taken(identifier)
        if owner is not None and owner.student != found.id:
            of_others.append(identifier)
    release(tx, of_others, context)
    for kind in {identifier.kind for identifier in operation.identifiers} - SINGLE:
        tx.run(DROP_IDENTIFIERS, found.id, kind)
    for identifier in operation.identifiers:
        set_identifier(tx, found.id, identifier)
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
    owners = [owner_of(tx, identifier) for identifier in operation.identifiers]
    owner = next(filter(None, owners), None)
    if owner is not None and owner.firmly and not context.firm:
        return context.ignored(operation, "The student was hidden at the desk")
    if owner is None:
        student = _insert(tx, operation, False, context)
        return _result(tx, operation, Change.CREATED, student, context)
    change = Change.UNCHANGED
    foreign: list[Identifier] = []
    own_kinds = {row[0] for row in tx.rows(OWN, owner.student)}
    for identifier in distinct(operation.identifiers):
        missing = identifier.kind not in SINGLE or identifier.kind not in own_kinds
        # An A-number is changed at the desk alone.
        replaces = operation.update and identifier.kind != A_NUMBER
        holder = owner_of(tx, identifier)
        is_own = holder is not None and holder.student == owner.student
        if (missing or replaces) and not is_own and is_free(holder, owner.student):
            release(tx, (identifier,) if holder is not None else (), context)
            set_identifier(tx, owner.student, identifier)
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
        if context.firm:
            raise unknown(operation.student)
        return context.ignored(operation, "No such student")
    if context.firm:
        found = root(tx, found)
    hidden_by = context.delivery, context.firm
    deeds.add(tx, context, deeds.STUDENT, found.id, deeds.HIDDEN, None, hidden_by)
    tx.run(STUDENTS.hide, context.received_at, context.received_at, *hidden_by, found.id)
    changes.add(tx, changes.STUDENT_HIDDEN, found.id, context)
    return context.result(operation, Change.UPDATED, student=found)


def forget(tx: Transaction, student: int, now: datetime) -> int:
    """Remove all that tells who a student is; how many attendances of theirs stay counted."""
    deeds.forget(tx, student)
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
    identifier, first_name, last_name, is_admin, a_number, email, joined = row
    return StudentRecord(
        int(identifier),  # type: ignore[call-overload]
        str(first_name),
        str(last_name),
        bool(is_admin),
        None if a_number is None else str(a_number),
        None if email is None else str(email),
        bool(joined),
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
        tell_saved(tx, record(row), context)
    return context.result(operation, change, student=record(row), foreign=foreign)


def tell_saved(tx: Transaction, student: StudentRecord, context: Context) -> None:
    """Tell that a student has changed, and whoever it is told as: its identifiers are the other's too."""
    changes.add(tx, changes.STUDENT_SAVED, student.id, context)
    if student.joined and (root := root_id(tx, student.id)) != student.id:
        changes.add(tx, changes.STUDENT_SAVED, root, context)


def owner_of(tx: Transaction, identifier: Identifier) -> Owner | None:
    """Whose the identifier is, hidden students included."""
    if identifier.kind == ROW:
        row = tx.row(EXISTS, row_id(identifier))
    else:
        row = tx.row(OWNER, identifier.kind, identifier.key)
    return Owner(int(row[0]), bool(row[1]), bool(row[2])) if row else None


def one_of(tx: Transaction, identifiers: Iterable[Identifier]) -> tuple[int, Identifier] | None:
    """The one student whom identifiers name, hidden ones left out, and the first identifier that does.

    Raises Contradicted where they name two, NotFound for one whom somebody with authority has hidden.
    """
    owners: dict[int, tuple[int, Identifier]] = {}
    for identifier in identifiers:
        owner = owner_of(tx, identifier)
        if owner is not None and owner.firmly:
            raise unknown(identifier)
        if owner is not None and not owner.hidden:
            owners.setdefault(root_id(tx, owner.student), (owner.student, identifier))
    if len(owners) > 1:
        named = " and ".join(
            f"{one.kind} {one.text} is student {student}'s" for student, (_, one) in owners.items()
        )
        raise Contradicted("The row names two students", named)
    return next(iter(owners.values()), None)


def is_free(owner: Owner | None, student: int) -> bool:
    """Whether an identifier may be given to a student: it is nobody else's, or that of one whom a source
    has hidden.
    """
    if owner is None or owner.student == student:
        return True
    return owner.hidden and not owner.firmly


def release(tx: Transaction, identifiers: Iterable[Identifier], context: Context) -> None:
    """Take identifiers from the hidden students who have them."""
    for identifier in identifiers:
        for (student,) in tx.rows(RELEASE, identifier.kind, identifier.key):
            changes.add(tx, changes.STUDENT_HIDDEN, student, context)


def hidden_one(
    tx: Transaction, identifiers: tuple[Identifier, ...]
) -> tuple[int | None, list[Identifier]]:
    """Refuse identifiers that are taken; tell the one hidden student whom they mean, if any (by the
    A-number, else by an identifier of one who has no other A-number), and those of other hidden ones.
    """
    hidden: int | None = None
    owners: list[tuple[Identifier, int]] = []
    for identifier in sorted(identifiers, key=_emails_first):
        owner = owner_of(tx, identifier)
        if owner is None:
            continue
        if not owner.hidden or owner.firmly:
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
    for identifier in distinct(operation.identifiers):
        tx.run(ADD_IDENTIFIER, identifier.kind, identifier.key, identifier.text, student)
    return student


def distinct(identifiers: tuple[Identifier, ...]) -> Iterable[Identifier]:
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


def set_identifier(tx: Transaction, student: int, identifier: Identifier) -> None:
    """Make the identifier the student's; of the single kinds it replaces the student's own."""
    own = {(kind, value): shown for kind, value, shown in tx.rows(OWN, student)}
    shown = own.get((identifier.kind, identifier.key))
    if shown is None:
        if identifier.kind in SINGLE:
            tx.run(DROP_IDENTIFIERS, student, identifier.kind)
        tx.run(ADD_IDENTIFIER, identifier.kind, identifier.key, identifier.text, student)
    elif shown != identifier.text:
        tx.run(RESPELL_IDENTIFIER, identifier.text, identifier.kind, identifier.key)
