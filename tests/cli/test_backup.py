"""Backups: made while a hub goes on, looked at, put back; and what is none."""

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading

import pytest
import requests
from conftest import STORE
from hubtest import STATUS, UNIFIED, Calls, Client, Rows
from serving import eventually

from hub.store import backup

sqlite_only = pytest.mark.skipif(STORE != "sqlite", reason="about SQLite's own files")


@pytest.fixture
def filled(make_hub):
    hub = make_hub()
    calls = Calls(Client(hub))
    for number in range(5):
        calls.student(f"a{number}")
    calls.event("Lab")
    for number in range(4):
        calls.attend(f"a{number}", "Lab")
    calls.attend("a9", "Lab")
    hub.close()
    return hub


def counts(file):
    connection = sqlite3.connect(file)
    try:
        return [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("student", "attendance", "delivery")
        ]
    finally:
        connection.close()


def rest_of(folder):
    return sorted(one.name for one in folder.iterdir() if ".part" in one.name)


@sqlite_only
class TestMaking:
    def test_one_file_for_its_owner_alone(self, run, filled, tmp_path):
        (line,) = run("backup", "copy.db")
        copy = tmp_path / "copy.db"
        assert line.startswith(f"copy.db: {copy.stat().st_size} bytes, in ")
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
        assert counts(copy) == [5, 4, 11]
        assert rest_of(tmp_path) == []
        assert not (tmp_path / "copy.db-wal").exists()

    def test_it_is_verified(self, run, filled, tmp_path):
        lines = run("backup", "copy.db", "--verify")
        assert lines[1] == "attendances: 0 missing, 0 too many, 0 with other times"
        assert lines[2].startswith("deliveries: 11 derived, 0 without body or plugin")
        assert not (tmp_path / "copy.db-wal").exists()
        assert counts(tmp_path / "copy.db") == [5, 4, 11]

    def test_a_difference_is_told(self, run, filled, url, tmp_path):
        connection = sqlite3.connect(tmp_path / "hub.db")
        connection.execute("DELETE FROM attendance WHERE id = 1")
        connection.commit()
        connection.close()
        lines = run("backup", "copy.db", "--verify", status=1)
        assert any(line.startswith("+ a0") for line in lines)
        assert "attendances: 1 missing, 0 too many, 0 with other times" in lines

    def test_its_age_is_known(self, run, filled, make_hub):
        run("backup", "copy.db")
        (row,) = Rows(make_hub())("Backup")
        assert row["bytes"] > 10_000
        page = Client(make_hub()).request(
            "GET", "/metrics", headers={"Host": "localhost"}, address="127.0.0.1"
        )
        assert b"hub_last_backup_timestamp_seconds 1" in page.body

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("hub.db", "is the store itself; name another file"),
            ("there.db", "exists already; name a file that does not"),
            ("nowhere/copy.db", "copy.db.part cannot be written: No such file or directory"),
            ("x" * 300, "cannot be written: File name too long"),
            ("/proc/copy.db", "cannot be written"),
        ],
    )
    def test_where_it_cannot_be(self, run, filled, tmp_path, name, said):
        (tmp_path / "there.db").write_text("mine")
        (line,) = run("backup", name, status=2)
        assert line.startswith("attendance-hub: ")
        assert said in line
        assert (tmp_path / "there.db").read_text() == "mine"
        assert counts(tmp_path / "hub.db") == [5, 4, 11]
        assert rest_of(tmp_path) == []

    def test_a_dangling_link_is_not_followed(self, run, filled, tmp_path):
        (tmp_path / "copy.db").symlink_to(tmp_path / "elsewhere.db")
        (tmp_path / "other.db.part").symlink_to(tmp_path / "elsewhere.db")
        assert "exists already" in run("backup", "copy.db", status=2)[0]
        assert "cannot be written" in run("backup", "other.db", status=2)[0]
        assert not (tmp_path / "elsewhere.db").exists()

    def test_a_full_disk(self, run, filled, tmp_path, monkeypatch):
        import resource

        # The nearest to a full disk that needs no mount: no file may grow as large as the store.
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            half = (tmp_path / "hub.db").stat().st_size // 2
            resource.setrlimit(resource.RLIMIT_FSIZE, (half, before[1]))
            (line,) = run("backup", "copy.db", status=2)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, handler)
        assert "The backup was not made: " in line
        assert not (tmp_path / "copy.db").exists()
        assert rest_of(tmp_path) == []

    def test_two_at_once(self, run, filled, tmp_path):
        with backup._part(tmp_path / "copy.db"):
            (line,) = run("backup", "copy.db", status=2)
        assert "Another backup writes" in line
        run("backup", "copy.db")

    def test_what_a_killed_one_left_is_written_over(self, run, filled, tmp_path):
        (tmp_path / "copy.db.part").write_bytes(b"half of it" * 100)
        run("backup", "copy.db")
        assert counts(tmp_path / "copy.db") == [5, 4, 11]
        assert rest_of(tmp_path) == []

    def test_there_is_no_store(self, run, tmp_path, monkeypatch):
        (line,) = run("backup", "copy.db", "--database", "sqlite:///none.db", status=2)
        assert "there is no store at" in line
        assert not (tmp_path / "none.db").exists()


@sqlite_only
class TestPuttingBack:
    def test_where_there_is_none(self, run, filled, tmp_path, make_hub):
        run("backup", "copy.db")
        (line,) = run("restore", "copy.db", "--database", "sqlite:///new.db")
        assert line == f"sqlite:///{tmp_path / 'new.db'} is the backup copy.db from now on"
        assert counts(tmp_path / "new.db") == [5, 4, 11]
        assert stat.S_IMODE((tmp_path / "new.db").stat().st_mode) == 0o600
        assert "a0" in "\n".join(run("who", "Lab", "--database", "sqlite:///new.db"))
        assert (
            Client(make_hub(database=f"sqlite:///{tmp_path / 'new.db'}")).get(STATUS).status == 200
        )

    def test_the_store_that_there_is_stays(self, run, filled, tmp_path):
        run("backup", "copy.db")
        (line,) = run("restore", "copy.db", status=2)
        assert f"There is a store at {tmp_path / 'hub.db'}; stop the hub, and add --replace" in line
        assert rest_of(tmp_path) == []

    def test_it_is_moved_aside(self, run, filled, tmp_path, make_hub):
        run("backup", "copy.db")
        hub = make_hub()
        Calls(Client(hub)).student("a77")
        hub.close()
        aside, _ = run("restore", "copy.db", "--replace")
        assert aside == f"the store of before is {tmp_path / 'hub.db.before-1'}"
        assert counts(tmp_path / "hub.db.before-1") == [6, 4, 12]
        assert counts(tmp_path / "hub.db") == [5, 4, 11]
        assert run("restore", "copy.db", "--replace")[0].endswith("hub.db.before-2")

    def test_not_under_a_hub_that_runs(self, run, filled, serve, tmp_path):
        run("backup", "copy.db")
        server = serve()
        (line,) = run("restore", "copy.db", "--replace", status=2)
        assert "A hub, or another program, has" in line
        assert requests.post(server.url + UNIFIED, json={}, timeout=10).status_code == 400
        assert not (tmp_path / "hub.db.before-1").exists()

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (None, "cannot be read: No such file or directory"),
            (b"", "is not an SQLite file"),
            (b"PGDMP\x01\x0e\x00", "is not an SQLite file; to move a store between"),
            (b"id,name\n1,Ada\n", "is not an SQLite file"),
            (b"SQLite format 3\0" + b"x" * 5000, "is damaged: "),
        ],
    )
    def test_what_is_no_backup(self, run, tmp_path, content, said):
        if content is not None:
            (tmp_path / "copy.db").write_bytes(content)
        (line,) = run("restore", "copy.db", "--database", "sqlite:///new.db", status=2)
        assert said in line
        assert not (tmp_path / "new.db").exists()
        assert rest_of(tmp_path) == []

    def test_another_programs_database(self, run, tmp_path):
        connection = sqlite3.connect(tmp_path / "copy.db")
        connection.execute("CREATE TABLE song (title TEXT)")
        connection.close()
        (line,) = run("restore", "copy.db", "--database", "sqlite:///new.db", status=2)
        assert "is not a backup of a hub's store" in line

    def test_a_page_that_is_damaged(self, run, filled, tmp_path):
        run("backup", "copy.db")
        with (tmp_path / "copy.db").open("r+b") as file:
            file.seek(4096 * 3)
            file.write(b"\xff" * 4096)
        (line,) = run("restore", "copy.db", "--database", "sqlite:///new.db", status=2)
        assert "copy.db is damaged: " in line

    @pytest.mark.parametrize(
        ("version", "status", "said"),
        [(1000, 2, "has schema version 1000"), (0, 0, "run: attendance-hub migrate")],
    )
    def test_of_another_version(self, run, filled, tmp_path, version, status, said):
        run("backup", "copy.db")
        connection = sqlite3.connect(tmp_path / "copy.db")
        connection.execute("DELETE FROM schema_version WHERE version > 9")
        if version:
            connection.execute("INSERT INTO schema_version VALUES (?, 1)", (version,))
        connection.commit()
        connection.close()
        lines = run("restore", "copy.db", "--database", "sqlite:///new.db", status=status)
        assert said in lines[-1]

    def test_one_that_is_in_use(self, run, filled, tmp_path):
        run("backup", "copy.db")
        (tmp_path / "copy.db-wal").write_bytes(b"x")
        (line,) = run("restore", "copy.db", "--database", "sqlite:///new.db", status=2)
        assert "copy.db is in use, or was" in line

    def test_the_store_onto_itself(self, run, filled):
        assert "is the store itself" in run("restore", "hub.db", "--replace", status=2)[0]

    def test_a_store_that_is_damaged_is_replaced(self, run, filled, tmp_path):
        run("backup", "copy.db")
        (tmp_path / "hub.db").write_bytes(b"nothing of a store")
        run("restore", "copy.db", "--replace")
        assert counts(tmp_path / "hub.db") == [5, 4, 11]
        assert (tmp_path / "hub.db.before-1").read_bytes() == b"nothing of a store"


class TestUnderLoad:
    """Backups are made, and killed, while a hub takes check-ins."""

    @sqlite_only
    def test_each_that_appears_is_whole(self, run, serve, tmp_path):
        server = serve()
        taken = []
        ending = threading.Event()

        def post():
            with requests.Session() as session:
                while not ending.is_set():
                    data = {
                        "student_identifier": f"a{len(taken)}",
                        "email": f"a{len(taken)}@example.edu",
                        "first_name": "Ada",
                        "last_name": "Example",
                    }
                    answer = session.post(
                        server.url + UNIFIED, json={"type": "student", "data": data}, timeout=20
                    )
                    assert answer.status_code == 201
                    taken.append(answer.headers["x-delivery-id"])

        poster = threading.Thread(target=post)
        poster.start()
        try:
            eventually(lambda: len(taken) > 200)
            for number in range(6):
                before = len(taken)
                process = subprocess.Popen(
                    [sys.executable, "-m", "hub", "backup", f"copy-{number}.db"],
                    cwd=tmp_path,
                    env={**os.environ, "HUB_DATABASE": server.database},
                    stdout=subprocess.DEVNULL,
                )
                file = tmp_path / f"copy-{number}.db"
                part = tmp_path / f"copy-{number}.db.part"
                try:
                    if number % 2:
                        # While it is written, or, where that was fast, after it.
                        eventually(lambda one=part, other=file: one.exists() or other.exists())
                        process.kill()
                finally:
                    process.wait(60)
                assert file.exists() or number % 2
                if file.exists():
                    students, _, deliveries = counts(file)
                    assert students == deliveries >= before
        finally:
            ending.set()
            poster.join(20)
        assert server.stop() == 0
        run("restore", "copy-4.db", "--database", "sqlite:///new.db")
        lines = run("rebuild", "--dry-run", "--database", "sqlite:///new.db")
        assert lines[0] == "attendances: 0 missing, 0 too many, 0 with other times"


@pytest.mark.skipif(STORE == "sqlite", reason="about PostgreSQL's own programs")
class TestOnPostgreSQL:
    def test_there_and_back(self, run, filled, cluster, tmp_path, make_hub):
        (line,) = run("backup", "copy.dump")
        assert line.startswith("copy.dump: ")
        assert stat.S_IMODE((tmp_path / "copy.dump").stat().st_mode) == 0o600
        assert Rows(make_hub())("Backup")[0]["bytes"] == (tmp_path / "copy.dump").stat().st_size
        url = cluster.create()
        try:
            run("restore", "copy.dump", "--database", url)
            assert run("who", "Lab", "--database", url) == run("who", "Lab")
            assert run("rebuild", "--dry-run", "--database", url)[0].startswith(
                "attendances: 0 miss"
            )
            (line,) = run("restore", "copy.dump", "--database", url, status=2)
            assert "restore into an empty database" in line
        finally:
            cluster.drop(url)

    def test_it_is_verified_in_a_database_of_its_own(self, run, filled, cluster, url):
        _, *lines = run("backup", "copy.dump", "--verify")
        assert lines[0].startswith("attendances: 0 missing, 0 too many")
        cluster.execute(
            "UPDATE attendance SET checked_in_at = checked_in_at + interval '1 hour'", url
        )
        lines = run("backup", "other.dump", "--verify", status=1)
        assert lines[-2] == "attendances: 0 missing, 0 too many, 4 with other times"
        assert not cluster.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE 'hub_verify%'", url
        )

    def test_who_may_make_no_database(self, run, filled, cluster, url):
        cluster.execute("CREATE ROLE plain LOGIN", url)
        try:
            for kind in ("TABLES", "SEQUENCES"):
                cluster.execute(f"GRANT ALL ON ALL {kind} IN SCHEMA public TO plain", url)
            own = url.replace("//hub@", "//plain@")
            *_, line = run("backup", "copy.dump", "--verify", "--database", own, status=2)
            assert "permission denied to create database" in line
            assert line.endswith("let the user make databases (ALTER ROLE … CREATEDB)")
        finally:
            cluster.execute("DROP OWNED BY plain", url)
            cluster.execute("DROP ROLE plain", url)

    def test_what_is_refused(self, run, filled, cluster, tmp_path, monkeypatch):
        (tmp_path / "copy.db").write_bytes(b"SQLite format 3\0")
        (line,) = run("restore", "copy.db", status=2)
        assert "copy.db is not what pg_dump wrote with --format=custom" in line
        monkeypatch.setenv("PATH", str(tmp_path))
        (line,) = run("backup", "copy.dump", status=2)
        assert "pg_dump is not here; install PostgreSQL's client programs" in line
        assert not (tmp_path / "copy.dump").exists()

    def test_a_dump_that_is_cut_off(self, run, filled, cluster, tmp_path):
        run("backup", "copy.dump")
        whole = (tmp_path / "copy.dump").read_bytes()
        (tmp_path / "half.dump").write_bytes(whole[: len(whole) // 2])
        url = cluster.create()
        try:
            (line,) = run("restore", "half.dump", "--database", url, status=2)
            assert "attendance-hub: pg_restore: " in line
            # Nothing is there of it.
            run("restore", "copy.dump", "--database", url)
        finally:
            cluster.drop(url)
