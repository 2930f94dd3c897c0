"""The ready-made sources: each keeps the contract, is small, and is what its page says."""

import re
from pathlib import Path

import pytest
from catalogue import CATALOGUE, FOLDER, settings
from click.testing import CliRunner

import hub_plugins
from hub.cli import main
from hub.testing import contract_suite, fixture_suite
from hub.testing.fixtures import fixtures

ROOT = Path(__file__).parents[2]
MODULES = Path(hub_plugins.__file__).parent / "catalogue"

for _name in CATALOGUE:
    globals()[f"test_contract_of_{_name}"] = contract_suite(
        _name, FOLDER / _name, source=_name, settings=settings(_name)
    )
    globals()[f"test_fixtures_of_{_name}"] = fixture_suite(
        _name, FOLDER / _name, source=_name, settings=settings(_name)
    )


@pytest.mark.parametrize("name", CATALOGUE)
class TestEach:
    def test_it_is_short(self, name):
        # What is counted are lines of code: no blank ones, docstrings and imports.
        lines = (MODULES / f"{name}.py").read_text("utf-8").splitlines()
        assert len(code(lines)) <= 60

    def test_it_names_where_its_format_is_from(self, name):
        assert "Format: " in (MODULES / f"{name}.py").read_text("utf-8")

    def test_it_has_fixtures_with_what_is_expected(self, name):
        found = fixtures(FOLDER / name)
        assert found
        assert all(one.expected is not None for one in found)

    def test_it_has_a_page(self, name):
        page = (ROOT / "docs" / "catalogue" / f"{name}.md").read_text("utf-8")
        for heading in ("## There", "## Here", "## What it does on which answer"):
            assert heading in page, (name, heading)


def test_their_schemas_are_json_schemas():
    """A start does not check them: that takes as long as all the rest of it."""
    from hub.plugin.loading import Plugins
    from hub.wire.metaschema import require_schema

    for name in (*CATALOGUE, "cards", "forms", "qr"):
        for source, _ in Plugins(settings(name)).sources:
            for schema in source.schemas.values():
                if not isinstance(schema, str):
                    require_schema(schema)


def code(lines):
    text = re.sub(r'""".*?"""', "", "\n".join(lines), flags=re.DOTALL)
    text = re.sub(r"^from .*? import (?:\([^)]*\)|.*)$|^import .*$", "", text, flags=re.MULTILINE)
    return [line for line in text.splitlines() if line.strip()]


def test_the_command_lists_them():
    lines = CliRunner().invoke(main, ["plugins", "--available"]).output.splitlines()
    names = [line.split()[1] for line in lines[:-1]]
    assert names == list(hub_plugins.OPTIONAL)
    assert all(line.startswith("off  ") and len(line.split()) > 3 for line in lines[:-1])
