"""What reading the record costs: beside Datasette, beside check-ins, and in a store of a million.

``python benchmarks/reading.py [--attendances 100000] [--reps 5] [--million] [--datasette COMMAND]``, with
attendance-hub installed, and Datasette 0.65 in any environment. What is compared runs side by side in
turns; what is printed are medians, their ratios, and the bounds that are meant to hold.
"""

import argparse
import http.client
import json
import math
import multiprocessing
import os
import shlex
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from hub.cli.bench import Measured, run
from hub.store.store import Store

STUDENTS = 2000
MILLION = 1_000_000
FEW = 1000
ROWS, HISTORY = 500, 100
PAGE = 100
CONNECTIONS = 16
REQUESTS = 20
"""Requests of each side in a turn."""

_TOKEN = "token-of-a-benchmark"
_DAYS = 80
"""Days that the events are spread over: a hub empties what is older than 90."""

_OWN = "5eed0b5e55ed"
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_FIRST = (
    "Ada",
    "Grace",
    "Alan",
    "Edsger",
    "Barbara",
    "Donald",
    "Frances",
    "Kenneth",
    "Zoë",
    "Jürgen",
)
_LAST = ("Example", "Sample", "Specimen", "Muster", "Ejemplo", "Exemple", "Esempio", "Přiklad")
_HEADERS = json.dumps({"content-type": "application/json", "content-length": "112"})

_STUDENT = """
    INSERT INTO student (id, first_name, last_name, is_admin, source, metadata, delivery, created_at,
        updated_at)
    VALUES (?, ?, ?, 0, 'unified_webhook', '{}', ?, ?, ?)"""
_IDENTIFIER = "INSERT INTO student_identifier (kind, value, shown, student) VALUES (?, ?, ?, ?)"
_EVENT = """
    INSERT INTO event (id, name, starts_at, event_type, points, description, location, source, metadata,
        delivery, created_at, updated_at)
    VALUES (?, ?, ?, 'General', ?, '', 'Room 101', 'unified_webhook', '{}', ?, ?, ?)"""
_ATTENDANCE = """
    INSERT INTO attendance (student, event, checked_in_at, checked_out_at, source, metadata, delivery,
        via, state)
    VALUES (?, ?, ?, ?, 'unified_webhook', '{}', ?, 'unified', ?)"""
_EVIDENCE = """
    INSERT INTO evidence (attendance, kind, delivery, source, via, at, repeatable)
    VALUES (?, ?, ?, 'unified_webhook', 'unified', ?, 0)"""
_DELIVERY = """
    INSERT INTO delivery (id, source, received_at, headers, body, outcome, status, answer, duration,
        students, events)
    VALUES (?, 'unified', ?, ?, ?, 'applied', ?, ?, 320, ?, ?)"""
_CHANGE = """
    INSERT INTO change (type, subject, delivery, at, attendances) VALUES (?, ?, ?, ?, 0)"""
_MENTION = "INSERT INTO mention (name, delivery) VALUES (?, ?)"

_JOIN = """
    SELECT {} FROM attendance a JOIN student s ON s.id = a.student JOIN event e ON e.id = a.event
    WHERE a.event = :event AND a.state <> 2 ORDER BY a.id LIMIT :most"""
_COLUMNS = """a.id,
    (SELECT i.shown FROM student_identifier i WHERE i.student = s.id AND i.kind = 'a_number')
        AS identifier,
    (SELECT i.shown FROM student_identifier i WHERE i.student = s.id AND i.kind = 'email') AS email,
    s.first_name || ' ' || s.last_name AS name, e.name AS event, e.starts_at, a.checked_in_at,
    a.checked_out_at, a.source"""
_ALL_COLUMNS = f"""{_COLUMNS}, s.id AS student_id, e.id AS event_id, date(e.starts_at) AS date, a.state,
    a.via, e.points, a.sightings, a.withdrawal"""

Timed = Callable[[], float]


class Seeded(NamedTuple):
    """What a seeded store has: the event whose sheet is measured, and the student whose history is."""

    attendances: int
    event: int
    rows: int
    student: int
    identifier: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--attendances", type=int, default=100_000)
    parser.add_argument("--reps", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each run of check-ins")
    parser.add_argument("--million", action="store_true", help="measure a large store as well")
    parser.add_argument("--datasette", default="datasette", metavar="COMMAND")
    arguments = parser.parse_args()
    if arguments.attendances < 2 * STUDENTS:
        parser.error(f"--attendances: at least {2 * STUDENTS}")
    with tempfile.TemporaryDirectory(prefix="attendance-hub-reading-") as folder:
        store = Path(folder) / "reading.db"
        events = math.ceil(arguments.attendances / STUDENTS)
        seeded = seed(store, arguments.attendances, events, STUDENTS, events)
        with hub(store) as (port, process), closing(Client(port)) as client:
            client.get("/api/webhook/status/")
            beside_datasette(client, store, seeded, arguments.reps, arguments.datasette)
        # Anew: what is still in its memory is then that of the exports.
        with hub(store) as (port, process), closing(Client(port)) as client:
            client.get("/api/webhook/status/")
            exports(client, seeded, process.pid, arguments.reps)
            reports(client, arguments.reps)
            check_ins(port, arguments.reps, arguments.seconds)
        if arguments.million:
            of_a_million(Path(folder), arguments.reps)


def beside_datasette(
    client: "Client", store: Path, seeded: Seeded, reps: int, command: str
) -> None:
    """The sheet of an event, and a page of it, as the hub and as Datasette answer them."""
    sheet = f"/api/events/{seeded.event}/attendances.jsonl"
    page = f"/api/events/{seeded.event}/attendances?limit={PAGE}"
    assert client.get(sheet).count(b"\n") == seeded.rows
    assert len(json.loads(client.get(page))["attendances"]) == PAGE
    if shutil.which(shlex.split(command)[0]) is None:
        print(f"{command}: not found; the comparison with Datasette is left out. To have it:")
        print("  python3 -m venv VENV && VENV/bin/pip install datasette==0.65")
        print("  python benchmarks/reading.py --datasette VENV/bin/datasette")
        one, other = client.timed(sheet), client.timed(page)
        sheets, pages = in_turns(reps, one, other)
        print(f"sheet of {seeded.rows} rows (.jsonl): {milliseconds(statistics.median(sheets))}")
        print(f"page of {PAGE}: {milliseconds(statistics.median(pages))}")
        return
    with datasette(command, store) as port, closing(Client(port)) as other_client:
        for what, path, most, bound in (
            (f"sheet of {seeded.rows} rows (.jsonl)", sheet, seeded.rows, 1 / 2),
            (f"page of {PAGE}", page, PAGE, 1 / 3),
        ):
            # As lists, which is what Datasette is fastest at; then all that the hub tells, as objects.
            for told, columns, shape, most_of_it in (
                ("", _COLUMNS, "arrays", bound),
                (", all columns as objects", _ALL_COLUMNS, "objects", None),
            ):
                sql = " ".join(_JOIN.format(columns).split())
                query = {"sql": sql, "event": seeded.event, "most": most, "_shape": shape}
                rows = f"/{store.stem}.json?{urlencode(query)}"
                found = json.loads(other_client.get(rows))
                assert len(found["rows"]) == min(most, seeded.rows), found
                own, others = in_turns(reps, client.timed(path), other_client.timed(rows))
                compared(f"{what}{told}", ("Datasette", others), ("hub", own), most_of_it)


def exports(client: "Client", seeded: Seeded, process: int, reps: int) -> None:
    """All rows as files, with nothing else going on, and what they take of memory."""
    before = peak_memory(process, anew=True)
    for form, bound in (("csv", " (at least 25000)"), ("jsonl", ""), ("xlsx", "")):
        took = []
        for _ in range(reps):
            started = time.perf_counter()
            body = client.get(f"/api/attendances.{form}")
            took.append(time.perf_counter() - started)
            if form != "xlsx":
                assert body.count(b"\n") == seeded.attendances + (form == "csv")
            del body
        rates = [round(seeded.attendances / one) for one in took]
        print(
            f"all as .{form}: {statistics.median(rates):.0f} rows a second{bound} (each: {rates})"
        )
    after = peak_memory(process)
    if before is None or after is None:
        print("memory: not measured, there is no /proc here")
    else:
        print(
            f"memory: {before / 1024:.1f} MiB before, at most {after / 1024:.1f} MiB in these exports, "
            f"{(after - before) / 1024:.1f} MiB more (at most 16)"
        )


def reports(client: "Client", reps: int) -> None:
    """The reports over everything."""
    for path in ("students", "events", "events?by=week", "events?by=month", "students.xlsx"):
        (took,) = in_turns(reps, client.timed(f"/api/reports/{path}", 1))
        times = ", ".join(map(milliseconds, took))
        print(
            f"report {path}: {milliseconds(statistics.median(took))} (at most 500) (each: {times})"
        )


def check_ins(port: int, reps: int, seconds: float) -> None:
    """Check-ins without and with an export beside them all the time."""
    alone: list[Measured] = []
    beside: list[Measured] = []
    exported: list[float] = []

    def without() -> None:
        alone.append(run(f"http://127.0.0.1:{port}", CONNECTIONS, seconds))

    def with_one() -> None:
        with exporting(port) as rows:
            started, first = time.perf_counter(), rows.value
            beside.append(run(f"http://127.0.0.1:{port}", CONNECTIONS, seconds))
            exported.append((rows.value - first) / (time.perf_counter() - started))

    for rep in range(reps):
        for turn in (without, with_one) if rep % 2 == 0 else (with_one, without):
            turn()
    compared(
        "check-ins a second",
        ("alone", [one.throughput for one in alone]),
        ("beside an export", [one.throughput for one in beside]),
        0.85,
        is_time=False,
    )
    compared(
        "p99 of check-ins",
        ("alone", [one.percentile(99) for one in alone]),
        ("beside an export", [one.percentile(99) for one in beside]),
        2,
    )
    errors = sum(one.errors + one.statuses.total() - one.statuses[201] for one in alone + beside)
    print(f"the export beside them: {statistics.median(exported):.0f} rows a second")
    print(f"check-ins that were not recorded: {errors}")


def of_a_million(folder: Path, reps: int) -> None:
    """The same page, sheet and history from a store of a thousand and from one of a million."""
    few, many = folder / "few.db", folder / "many.db"
    small = seed(few, FEW, HISTORY, ROWS, HISTORY)
    large = seed(many, MILLION, MILLION // STUDENTS + 1, ROWS, HISTORY)
    with (
        hub(few) as (port, _),
        hub(many) as (port_of_many, _),
        closing(Client(port)) as client,
        closing(Client(port_of_many)) as client_of_many,
    ):
        for what, path in (
            (f"sheet of {ROWS} rows (.jsonl)", "/api/events/{0.event}/attendances.jsonl"),
            (f"page of {PAGE} of it", "/api/events/{0.event}/attendances?limit=100"),
            (f"page of {PAGE} of all", "/api/attendances?limit=100&cursor={1}"),
            ("one student's history", "/api/students/{0.student}/attendances?limit=100"),
        ):
            of_few, of_many = (
                one.timed(path.format(seeded, seeded.attendances // 3))
                for one, seeded in ((client, small), (client_of_many, large))
            )
            own, others = in_turns(reps, of_few, of_many)
            compared(what, (f"of {FEW}", own), (f"of {MILLION}", others), 1.25)
        deliveries = client_of_many.timed(f"/api/deliveries/?student={large.identifier}")
        (took,) = in_turns(reps, deliveries)
        print(
            f"the deliveries of one student: {milliseconds(statistics.median(took))} (at most 50) "
            f"(each: {', '.join(map(milliseconds, took))})"
        )


def in_turns(reps: int, *sides: Timed) -> Sequence[list[float]]:
    """The seconds that each side takes, a median for each turn; before that, each side goes once."""
    for side in sides:
        side()
    took: list[list[float]] = [[] for _ in sides]
    for rep in range(reps):
        for number in range(len(sides)) if rep % 2 == 0 else reversed(range(len(sides))):
            took[number].append(sides[number]())
    return took


def compared(
    what: str,
    base: tuple[str, Sequence[float]],
    own: tuple[str, Sequence[float]],
    bound: float | None,
    is_time: bool = True,
) -> None:
    """Print both medians, and the median of the ratios of each turn."""
    limit = "" if bound is None else f" (at {'most' if is_time else 'least'} {bound:.2f})"
    ratios = [b / a for a, b in zip(base[1], own[1], strict=True)]
    shown = milliseconds if is_time else "{:.0f}".format
    first, second = (f"{name} {shown(statistics.median(took))}" for name, took in (base, own))
    print(
        f"{what}: {first}, {second}, ratio {statistics.median(ratios):.2f}{limit} "
        f"(each: {[round(one, 2) for one in ratios]})"
    )


def milliseconds(seconds: float) -> str:
    """A time as it is printed."""
    return f"{seconds * 1000:.1f} ms"


class Client:
    """One connection to a server on this machine, which is kept alive."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def get(self, path: str) -> bytes:
        """The body of an answer, which has to be a good one."""
        self._connection.request("GET", path, headers={"Authorization": f"Bearer {_TOKEN}"})
        response = self._connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise SystemExit(f"{path}: {response.status} {body[:200]!r}")
        return body

    def timed(self, path: str, times: int = REQUESTS) -> Timed:
        """What asks for a path some times, and tells how many seconds it takes in the median."""

        def turn() -> float:
            took = []
            for _ in range(times):
                started = time.perf_counter()
                self.get(path)
                took.append(time.perf_counter() - started)
            return statistics.median(took)

        return turn

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@contextmanager
def hub(store: Path) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """A hub over a store: its port, and its process."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    options = ("--port", str(port), "--database", f"sqlite:///{store}")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HUB_")}
    with server(
        [sys.executable, "-m", "hub", "serve", *options],
        port,
        store.parent,
        {**environment, "HUB_ADMIN_TOKEN": _TOKEN},
    ) as process:
        yield port, process


@contextmanager
def datasette(command: str, store: Path) -> Iterator[int]:
    """Datasette over the file of a store that a hub has open; its port."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    words = shlex.split(command)
    version = subprocess.run([*words, "--version"], capture_output=True, text=True, check=True)
    if " 0.65" not in version.stdout:
        print(f"not Datasette 0.65, which is meant, but {version.stdout.strip()}")
    options = ("--port", str(port), "--setting", "max_returned_rows", "2000")
    limit = ("--setting", "sql_time_limit_ms", "60000")
    with server([*words, "serve", str(store), *options, *limit], port, store.parent):
        yield port


@contextmanager
def server(
    command: Sequence[str], port: int, folder: Path, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that listens on ``port``, until the block ends."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with process:
        try:
            end = time.monotonic() + 60
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    if process.poll() is not None or time.monotonic() > end:
                        raise SystemExit(f"{command[0]} did not start") from None
                    time.sleep(0.05)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)


@contextmanager
def exporting(port: int) -> "Iterator[Synchronized[int]]":
    """A process that reads all attendances as CSV, again and again; how many rows it has read."""
    context = multiprocessing.get_context("spawn")
    rows = context.Value("q", 0)
    ending = context.Event()
    process = context.Process(target=_export, args=(port, rows, ending))
    process.start()
    try:
        while not rows.value and process.is_alive():
            time.sleep(0.01)
        yield rows
    finally:
        ending.set()
        process.join()


def _export(port: int, rows: "Synchronized[int]", ending: Event) -> None:
    while not ending.is_set():
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=120)) as connection:
            headers = {"Authorization": f"Bearer {_TOKEN}"}
            connection.request("GET", "/api/attendances.csv", headers=headers)
            response = connection.getresponse()
            while not ending.is_set() and (part := response.read1(65536)):
                rows.value += part.count(b"\n")


def peak_memory(process: int, anew: bool = False) -> int | None:
    """The largest resident set of a process so far, in KiB; ``anew``: from now on. None: unknown."""
    folder = Path("/proc") / str(process)
    try:
        if anew:
            (folder / "clear_refs").write_text("5")
        lines = (folder / "status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), None)


def seed(store: Path, attendances: int, events: int, rows: int, history: int) -> Seeded:
    """Make a store with so many attendances of 2,000 invented students. The event in the middle has
    ``rows`` of them, and the first student ``history``; the other events have about the same number.
    """
    started = time.perf_counter()
    Store.open(f"sqlite:///{store}").close()
    seeded = Seeded(attendances, events // 2, rows, 1, "a00000001")
    with closing(sqlite3.connect(store, isolation_level=None)) as connection:
        # It is one transaction, of which nothing has to be undone.
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -500000"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("BEGIN")
        _seed(connection, seeded, events, history)
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL")
    print(f"{attendances} attendances seeded in {time.perf_counter() - started:.1f} s")
    return seeded


def _seed(connection: sqlite3.Connection, seeded: Seeded, events: int, history: int) -> None:
    now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    begin = now - timedelta(days=_DAYS + 2)
    _seed_students(connection, begin)
    made = number = 0
    for event in range(1, events + 1):
        moment = begin + timedelta(days=1) + event * timedelta(days=_DAYS) / events
        if event == seeded.event:
            who = list(range(1, seeded.rows + 1))
        else:
            # The number of the event among the others; each has its share of what is left.
            before, upto = (n * (history - 1) // (events - 1) for n in (number, number + 1))
            left = seeded.attendances - seeded.rows - (history - 1)
            first, last = (n * left // (events - 1) for n in (number, number + 1))
            who = [1] * (upto - before)
            who += [2 + one % (STUDENTS - 1) for one in range(first, last)]
            number += 1
        _seed_event(connection, event, f"Weekly Meeting {event}", moment)
        _seed_attendances(connection, event, f"Weekly Meeting {event}", moment, who, made)
        made += len(who)
    assert made == seeded.attendances, made


def _seed_students(connection: sqlite3.Connection, begin: datetime) -> None:
    at = _moment(begin)
    for student in range(1, STUDENTS + 1):
        first, last = _person(student)
        key, email = f"a{student:08}", f"student{student}@example.edu"
        delivery = _delivery_id(begin, student)
        connection.execute(_STUDENT, (student, first, last, delivery, at, at))
        connection.execute(_IDENTIFIER, ("a_number", key, key.upper(), student))
        connection.execute(_IDENTIFIER, ("email", email, email, student))
        connection.execute(_CHANGE, ("student.saved", student, delivery, at))
        for name in (f"#{student}", f"a_number:{key}", f"email:{email}"):
            connection.execute(_MENTION, (f"student {name}", delivery))
        data = {"student_identifier": key, "email": email, "first_name": first, "last_name": last}
        of = (f"\n#{student}\na_number:{key}\nemail:{email}\n", "")
        connection.execute(_DELIVERY, _kept(delivery, begin, "student", data, of))


def _seed_event(connection: sqlite3.Connection, event: int, name: str, starts_at: datetime) -> None:
    begin = starts_at - timedelta(hours=1)
    delivery, at = _delivery_id(begin, 0), _moment(begin)
    values = (event, name, _moment(starts_at), event % 3, delivery, at, at)
    connection.execute(_EVENT, values)
    connection.execute(_CHANGE, ("event.saved", event, delivery, at))
    for one in (f"#{event}", f"name:{name}"):
        connection.execute(_MENTION, (f"event {one}", delivery))
    data = {"event_name": name, "event_date": f"{starts_at.isoformat()}Z"}
    of = ("", f"\n#{event}\nname:{name}\n")
    connection.execute(_DELIVERY, _kept(delivery, begin, "event", data, of))


def _seed_attendances(
    connection: sqlite3.Connection,
    event: int,
    name: str,
    begin: datetime,
    students: Sequence[int],
    before: int,
) -> None:
    """The attendances of an event; every tenth student has left, which another delivery has told."""
    attendances: list[tuple[Any, ...]] = []
    deliveries: list[tuple[Any, ...]] = []
    evidence: list[tuple[Any, ...]] = []
    for number, student in enumerate(students):
        came = begin + timedelta(milliseconds=437 * number)
        left = came + timedelta(minutes=50) if number % 10 == 0 else None
        data = {"student_identifier": f"a{student:08}", "event_identifier": name}
        of = (f"\n#{student}\na_number:a{student:08}\n", f"\n#{event}\nname:{name}\n")
        delivery = _delivery_id(came, number % 0xFFFF + 1)
        deliveries.append(_kept(delivery, came, "attendance", data, of))
        checked_in, checked_out = _moment(came.replace(microsecond=0)), None
        if left is not None:
            leaving, checked_out = _delivery_id(left, number + 1), _moment(left)
            deliveries.append(_kept(leaving, left, "attendance", {**data, "left": True}, of))
            attendance = before + number + 1
            evidence.append((attendance, "check_in", delivery, checked_in))
            evidence.append((attendance, "check_out", leaving, checked_out))
        attendances.append(
            (student, event, checked_in, checked_out, delivery, int(left is not None))
        )
    connection.executemany(_ATTENDANCE, attendances)
    connection.executemany(_DELIVERY, deliveries)
    connection.executemany(_EVIDENCE, evidence)


def _kept(
    delivery: str, at: datetime, what: str, data: dict[str, Any], of: tuple[str, str]
) -> tuple[Any, ...]:
    body = json.dumps({"type": what, "data": data}).encode()
    told = {"success": True, "message": f"{what.title()} recorded successfully", "data": data}
    answer = json.dumps(
        {**told, "checked_in_at": f"{at.isoformat()}Z", "source": "unified_webhook"}
    )
    return delivery, _moment(at), _HEADERS, body, 201, answer, *of


def _person(student: int) -> tuple[str, str]:
    letter = _ALPHABET[student % len(_ALPHABET)]
    return f"{_FIRST[student % len(_FIRST)]} {letter}.", f"{_LAST[student % len(_LAST)]}-{student}"


def _delivery_id(at: datetime, number: int) -> str:
    milliseconds_since = (at - datetime(1970, 1, 1)) // timedelta(milliseconds=1)
    return f"{milliseconds_since:012x}{number:04x}{_OWN}"


def _moment(at: datetime) -> str:
    return at.isoformat(" ", "microseconds")


if __name__ == "__main__":
    main()
