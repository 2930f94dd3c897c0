"""A folder that has the package's name."""

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import hub
from hub.cli import require_package


def test_a_checkout_that_hides_the_package_is_named(tmp_path):
    # As an installation in place has it: a folder without __init__.py comes before the package.
    (tmp_path / "hub").mkdir()
    finder = (
        "import sys, importlib.machinery, importlib.util\n"
        "class Finder:\n"
        "    @classmethod\n"
        "    def find_spec(cls, name, path=None, target=None):\n"
        "        if name == 'hub':\n"
        "            spec = importlib.machinery.ModuleSpec(name, None, is_package=True)\n"
        f"            spec.submodule_search_locations = [{str(tmp_path / 'hub')!r}]\n"
        "            return spec\n"
        "        if not name.startswith('hub.'):\n"
        "            return None\n"
        f"        file = {str(Path(hub.__file__).parent)!r} + '/' + name[4:].replace('.', '/')\n"
        "        for tail in ('.py', '/__init__.py'):\n"
        "            import os\n"
        "            if os.path.exists(file + tail):\n"
        "                places = [file] if tail.startswith('/') else None\n"
        "                return importlib.util.spec_from_file_location(\n"
        "                    name, file + tail, submodule_search_locations=places)\n"
        "sys.meta_path.insert(0, Finder)\n"
    )
    (tmp_path / "sitecustomize.py").write_text(finder)
    done = subprocess.run(
        [sys.executable, "-c", "from hub.cli import main; main()"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == (
        f"attendance-hub: the folder {tmp_path / 'hub'} hides the installed package hub; "
        "start in another folder\n"
    )


def test_a_folder_is_no_package(tmp_path):
    folder = ModuleType("hub")
    folder.__path__ = [str(tmp_path)]
    with pytest.raises(SystemExit, match="hides the installed package"):
        require_package(folder)


def test_a_hub_without_any_source_says_so(serve_http):
    names = ("unified", "legacy", "secure", "onetap", "desk", "imports", "console")
    server = serve_http(*(part for name in names for part in ("--without", name)))
    server.stop()
    assert "warning: no plugin declares a source; nothing can be posted" in server.lines
