"""The drawing of the house: which room stands on which, and what may be kept in which."""

import ast
import re
from pathlib import Path

import pytest

import hub
from hub.store.store import Store

HOUSE = Path(hub.__file__).parent

ROOMS = {
    "__main__": "cli",
    "wsgi": "http hub config log",
    "cli": (
        "scaffold testing http hub api jobs sheets record intake plugin config store wire domain errors"
        " log version"
    ),
    "scaffold": "handshakes testing wire config domain errors",
    "testing": "http hub api record intake plugin config store wire domain errors",
    "http": "api intake config store wire domain errors log",
    "hub": "console api jobs record intake plugin config store domain errors",
    "console": "api jobs record intake plugin config store wire domain errors log",
    "api": (
        "export handshakes jobs sheets record intake plugin config store wire domain errors log version"
    ),
    "export": "",
    "jobs": "sheets record intake plugin config store wire domain errors log version",
    "sheets": "domain errors",
    "intake": "record plugin config store wire domain errors log",
    "__init__": "handshakes plugin record payloads wire domain errors version",
    "handshakes": "plugin wire",
    "plugin": "record config wire domain errors log version",
    "payloads": "wire domain errors",
    "record": "store domain errors",
    "store": "domain errors log",
    "config": "wire errors",
    "wire": "domain errors version",
    "domain": "errors",
    "log": "errors",
    "errors": "",
    "version": "",
}
"""Each folder or module of ``hub/``, from the roof down, and all that it may import. What is drawn is
what there is: an import that is no longer there goes from here too.
"""


def modules():
    return [(path, ast.parse(path.read_text("utf-8"))) for path in sorted(HOUSE.rglob("*.py"))]


def room(path):
    return path.relative_to(HOUSE).with_suffix("").parts[0]


def imports(tree):
    """The rooms that a module imports from, wherever in it, also for the eyes of a type checker alone."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            if package == "hub" and rest:
                yield rest.split(".")[0]


def test_each_room_stands_on_those_below_it_alone():
    order = list(ROOMS)
    for name, below in ROOMS.items():
        assert all(order.index(one) > order.index(name) for one in below.split()), name


def test_what_is_imported_is_what_is_drawn():
    found = {name: set() for name in ROOMS}
    for path, tree in modules():
        found[room(path)] |= {one for one in imports(tree) if one in ROOMS} - {room(path)}
    assert found == {name: set(below.split()) for name, below in ROOMS.items()}


def test_pony_is_in_the_store_and_the_record_alone():
    for path in HOUSE.rglob("*.py"):
        text = path.read_text("utf-8")
        used = re.search(r"^\s*(?:from|import) pony", text, re.MULTILINE)
        assert not used or room(path) in ("store", "record"), path


def test_no_entity_is_outside_of_the_store_and_the_record(tmp_path):
    store = Store.open(f"sqlite:///{tmp_path / 'hub.db'}")
    entities = set(store.database.entities) | {"entities"}
    store.close()
    for path, tree in modules():
        if room(path) in ("store", "record"):
            continue
        used = {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and ast.unparse(node.value).endswith(("db", "database"))
        }
        assert not used & entities, path


SQL = re.compile(
    r"\s*(?:SELECT\s.+\sFROM|INSERT\s+INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM|CREATE\s|ALTER\s|DROP\s"
    r"|PRAGMA\s|WITH\s+\w+\s+AS|BEGIN\b|COMMIT\b|ROLLBACK\b|SAVEPOINT\b)",
    re.DOTALL,
)


def test_no_sql_is_outside_of_the_store():
    for path, tree in modules():
        texts = [
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        found = [text for text in texts if SQL.match(text)]
        assert bool(found) <= (room(path) == "store"), (path, found)


@pytest.mark.parametrize(
    "text",
    ["SELECT id\n FROM t", " INSERT INTO t (a)", "UPDATE t SET a = 1", "DELETE FROM t", "PRAGMA a"],
)
def test_sql_is_known_when_it_is_seen(text):
    assert SQL.match(text)
