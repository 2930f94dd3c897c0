"""What the desk and rosters do to students: each member that changes is kept as a deed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hub.domain.corrections import EditStudent, EnrolStudent, ShowStudent
from hub.domain.identifiers import A_NUMBER, SINGLE, Identifier, student_identifier
from hub.domain.records import Change, Result
from hub.errors import Contradicted
from hub.store import changes, deeds, students
from hub.store.context import Context
from hub.store.members import STUDENTS, drop_identifiers, hidden_by, identifiers, set_hidden
from hub.store.transaction import Transaction

MEMBERS = """
    SELECT first_name, last_name, preferred_name, is_admin FROM student WHERE id = ?"""
INSERT = """
    INSERT INTO student (first_name, last_name, preferred_name, is_admin, source, metadata, delivery,
        created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id"""
UPDATE = """
    UPDATE student SET first_name = ?, last_name = ?, preferred_name = ?, is_admin = ?, updated_at = ?
    WHERE id = ?"""
_NAMES = ("first_name", "last_name", "preferred_name", "is_admin")


def edit(tx: Transaction, operation: EditStudent, context: Context) -> Result:
    """Change a student, or make a new one. Raises NotFound, and Contradicted for an identifier that is
    somebody else's.
    """
    given = {name: getattr(operation, name) for name in _NAMES}
    given = {name: value for name, value in given.items() if value is not None}
    if operation.student is None:
        _require_free(tx, operation.identifiers, 0)
        return _make(tx, operation, operation.identifiers, given, context)
    found = students.find(tx, operation.student)
    if found is None:
        raise students.unknown(operation.student)
    student = students.root(tx, found).id
    own = _require_free(tx, operation.identifiers, student)
    before = members(tx, student)
    kinds = {one.kind for one in own} | set(operation.without)
    drop_identifiers(tx, STUDENTS, student, kinds, before)
    students.release(tx, own, context)
    for identifier in own:
        students.set_identifier(tx, student, identifier)
    return _changed(tx, operation, student, before, given, context)


def enrol(tx: Transaction, operation: EnrolStudent, context: Context) -> Result:
    """Find the student of a roster's row, or make one. Raises Contradicted for a row that names two, and
    for another A-number than the student has.
    """
    found = students.one_of(tx, operation.identifiers)
    given = {name: getattr(operation, name) for name in _NAMES[:3] if getattr(operation, name)}
    if found is None:
        return _make(tx, operation, operation.identifiers, given, context)
    # Of one who was merged: whose identifier was found.
    student = found[0]
    before = members(tx, student)
    lacking = []
    for identifier in operation.identifiers:
        own = before.get(deeds.IDENTIFIERS + identifier.kind, ())
        if any(value == identifier.key for value, _ in own):
            continue
        if not students.is_free(students.owner_of(tx, identifier), student):
            continue  # of one with whom the student is merged
        if identifier.kind == A_NUMBER and own:
            raise Contradicted(
                f"Student {student} has another A-number",
                "An A-number is changed at the desk alone, with save_student",
            )
        if identifier.kind not in SINGLE or not own:
            lacking.append(identifier)
    students.release(tx, lacking, context)
    for identifier in lacking:
        students.set_identifier(tx, student, identifier)
    return _changed(tx, operation, student, before, given, context)


def show(tx: Transaction, operation: ShowStudent, context: Context) -> Result:
    """Show a hidden student again. Raises NotFound, and Contradicted for one who is not hidden."""
    owner = students.owner_of(tx, student_identifier(operation.student))
    if owner is None:
        raise students.unknown(operation.student)
    student = students.root_id(tx, owner.student)
    if hidden_by(tx, STUDENTS, student) is None:
        student = owner.student
    set_hidden(tx, STUDENTS, student, None, context)
    row = tx.row(students.BY_ID, student)
    assert row is not None
    return context.result(operation, Change.UPDATED, student=students.record(row))


def members(tx: Transaction, student: int) -> dict[str, Any]:
    """A student's members by name; identifiers of each kind as a list of (value, as shown)."""
    row = tx.row(MEMBERS, student)
    assert row is not None
    found: dict[str, Any] = dict(zip(_NAMES, (*row[:3], bool(row[3])), strict=True))
    return found | identifiers(tx, STUDENTS, student)


def set_member(tx: Transaction, student: int, member: str, value: Any, context: Context) -> None:
    """Make a member that is no identifier what it is to be."""
    own = members(tx, student) | {member: value}
    tx.run(UPDATE, *(own[name] for name in _NAMES), context.received_at, student)


def _require_free(
    tx: Transaction, identifiers: Sequence[Identifier], student: int
) -> list[Identifier]:
    """Those of the identifiers that are to be the student's own; those of one who was merged into it find
    it already. Raises Contradicted for one that is somebody else's.
    """
    own = []
    for identifier in identifiers:
        owner = students.owner_of(tx, identifier)
        if owner is not None and not students.is_free(owner, student):
            if students.root_id(tx, owner.student) == student:
                continue
            raise Contradicted(f"{identifier.kind} {identifier.text} is student {owner.student}'s")
        own.append(identifier)
    return own


def _make(
    tx: Transaction,
    operation: EditStudent | EnrolStudent,
    identifiers: Sequence[Identifier],
    given: Mapping[str, Any],
    context: Context,
) -> Result:
    """A new student; or one whom a source or an undo has hidden, shown again."""
    own = tuple(students.distinct(tuple(identifiers)))
    hidden, of_others = students.hidden_one(tx, own)
    students.release(tx, of_others, context)
    if hidden is not None:
        set_hidden(tx, STUDENTS, hidden, None, context)
        before = members(tx, hidden)
        for identifier in own:
            students.set_identifier(tx, hidden, identifier)
        found = _changed(tx, operation, hidden, before, given, context)
        return replace(found, change=Change.CREATED)
    student = tx.insert(
        INSERT,
        given.get("first_name", ""),
        given.get("last_name", ""),
        given.get("preferred_name", ""),
        given.get("is_admin", False),
        context.source_of(operation),
        context.metadata_of(operation),
        context.delivery,
        context.received_at,
        context.received_at,
    )
    for identifier in own:
        students.set_identifier(tx, student, identifier)
    deeds.add(tx, context, deeds.STUDENT, student, deeds.MADE, None, True)
    changes.add(tx, changes.STUDENT_SAVED, student, context)
    row = tx.row(students.BY_ID, student)
    assert row is not None
    return context.result(operation, Change.CREATED, student=students.record(row))


def _changed(
    tx: Transaction,
    operation: EditStudent | EnrolStudent,
    student: int,
    before: Mapping[str, Any],
    given: Mapping[str, Any],
    context: Context,
) -> Result:
    now = dict(before) | dict(given)
    if now != before:
        tx.run(UPDATE, *(now[name] for name in _NAMES), context.received_at, student)
    after = members(tx, student)
    after |= {kind: [] for kind in before if kind not in after}
    row = tx.row(students.BY_ID, student)
    assert row is not None
    record = students.record(row)
    change = Change.UNCHANGED
    if deeds.add_differences(tx, context, deeds.STUDENT, student, before, after):
        students.tell_saved(tx, record, context)
        change = Change.UPDATED
    return context.result(operation, change, student=record)
