"""A private PostgreSQL cluster for the tests: started once, also as root, on a socket of its own."""

import glob
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path


def binaries():
    """The folder of PostgreSQL's server binaries, or None."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[4]))
    on_path = shutil.which("initdb")
    return found[-1] if found else (os.path.dirname(on_path) if on_path else None)


class Cluster:
    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="hub-postgres-"))
        self._user = {}
        if os.geteuid() == 0:
            # initdb and postgres refuse to run as root.
            owner = pwd.getpwnam("postgres")
            self._user = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
        self._data = self.folder / "data"
        self._bin = Path(binaries())
        self._process = None
        self._counter = 0
        self._spare = []
        self._run("initdb", "-A", "trust", "-U", "hub", "--no-sync", "-E", "UTF8", "--locale=C")
        self.start()

    def _run(self, program, *arguments):
        command = [self._bin / program, "-D", self._data, *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder, **self._user)

    def start(self):
        command = [self._bin / "postgres", "-D", self._data, "-k", self.folder, "-h", "", "-F"]
        self._process = subprocess.Popen(
            command,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **self._user,
        )
        for _ in range(600):
            if self._is_ready():
                return
            time.sleep(0.05)
        raise RuntimeError("PostgreSQL did not start")

    def _is_ready(self):
        import psycopg2

        try:
            psycopg2.connect(self.url("postgres")).close()
        except psycopg2.OperationalError:
            return False
        return True

    def stop(self, how="SIGINT"):
        """SIGINT is "fast": clients are cut off. SIGKILL is a crash."""
        self._process.send_signal(getattr(signal, how))
        self._process.wait(30)

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, name):
        return f"postgresql://hub@/{name}?host={self.folder}"

    def create(self, template="template1"):
        """A new database; its URL."""
        self._counter += 1
        name = f"hub_{self._counter}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def take(self):
        """A database with the hub's tables and nothing in them; its URL. Give it back with ``give``."""
        return self._spare.pop() if self._spare else self.create("template_hub")

    def give(self, url):
        """Take a database back, emptied: that is several times faster than to make one."""
        tables = self.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE application_name = 'attendance-hub';"
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            " AND tablename <> 'schema_version'",
            url,
        )
        names = [name for (name,) in tables]
        # For a few rows DELETE takes a tenth of the time of TRUNCATE, which makes new files.
        emptied = "".join(f"DELETE FROM {name};" for name in names)
        restarted = (
            "SELECT setval(sequence.oid, 1, false) FROM pg_class sequence WHERE relkind = 'S'"
        )
        # In any order: no reference is looked at meanwhile.
        self.execute(f"SET session_replication_role = replica; {emptied} {restarted}", url)
        self._spare.append(url)

    def drop(self, url):
        name = url.split("/")[3].split("?")[0]
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def execute(self, sql, url=None):
        import psycopg2

        connection = psycopg2.connect(url or self.url("postgres"))
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()
