"""Where plugins are found: the built-ins, the entry points of installed distributions, a folder."""

import hashlib
import importlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType

from hub.config.settings import Settings
from hub.domain.records import Result
from hub.errors import SettingError
from hub.plugin.source import StatusAndBody
from hub.version import __version__

BUILT_IN = "built-in"
"""The origin of the hub's own plugins."""

GROUP = "attendance_hub"
"""The group of the entry points, and the name of the project in pluggy's sense."""


@dataclass(frozen=True, slots=True)
class Found:
    """A plugin that may be loaded: its name, where it is from, its version ('' if it tells none)."""

    name: str
    origin: str
    version: str
    load: Callable[[], object]

    @property
    def is_built_in(self) -> bool:
        """Whether it is one of the hub's own, whose schemas are checked by the tests."""
        return self.origin == BUILT_IN


def built_ins() -> frozenset[str]:
    """The names of the built-in plugins, and of the sources that they declare, loaded or not."""
    from hub_plugins import BUILT_INS, OPTIONAL

    return frozenset((*BUILT_INS, *OPTIONAL))


def has_left_out(settings: Settings) -> bool:
    """Whether the settings leave out a plugin that is none of the built-in ones."""
    loaded = {one.name for one in discover(settings)}
    others = [*_entry_points(), *_folder(settings.plugins)]
    return any(one.name not in loaded for one in others)


def discover(settings: Settings) -> list[Found]:
    """The plugins that the settings let in, in order: built-ins, entry points, the folder, sorted.

    Raises SettingError for the name of an unknown plugin, and for a folder that does not exist.
    """
    from hub_plugins import OPTIONAL

    only, without = settings.load_plugins, settings.without
    for name in settings.enable:
        if name not in OPTIONAL:
            raise SettingError(
                f"enable: there is no built-in plugin named {name}; there are {', '.join(OPTIONAL)}"
            )
    found = [*_built_ins(settings), *_entry_points(), *_folder(settings.plugins)]
    for setting, names in (("load_plugins", only), ("without", without)):
        if unknown := set(names) - {one.name for one in found} - set(OPTIONAL):
            raise SettingError(f"{setting}: there is no plugin named {min(unknown)}")
    return [one for one in found if one.name not in without and (not only or one.name in only)]


def switched_off(settings: Settings) -> tuple[str, ...]:
    """The built-ins that are loaded only where ``enable`` or ``load_plugins`` names them."""
    from hub_plugins import OPTIONAL

    return tuple(
        name for name in OPTIONAL if name not in (*settings.enable, *settings.load_plugins)
    )


def available() -> list[tuple[str, str]]:
    """The built-ins that are off until they are enabled: name, and what each is for."""
    from hub_plugins import OPTIONAL, module_of

    found = []
    for name in OPTIONAL:
        about = importlib.import_module(module_of(name)).__doc__ or ""
        found.append((name, about.strip().partition("\n")[0]))
    return found


def usual_answer() -> Callable[[Sequence[Result]], StatusAndBody]:
    """What answers for a source that has no ``answer`` of its own: what the built-in sources say."""
    from hub_plugins import success

    answer: Callable[[Sequence[Result]], StatusAndBody] = success.answer
    return answer


def in_file(file: Path) -> Found:
    """The plugin in a ``.py`` file; the file's stem is its name."""
    return Found(file.stem, str(file), "", partial(_module, file))


def in_module(module: ModuleType) -> Found:
    """An imported module as a plugin; its name is the last part of the module's."""
    name = module.__name__.rpartition(".")[2]
    return Found(name, module.__file__ or module.__name__, "", lambda: module)


def _built_ins(settings: Settings) -> Iterator[Found]:
    from hub_plugins import BUILT_INS, OPTIONAL, module_of

    wanted = {*settings.enable, *settings.load_plugins}
    for name in (*BUILT_INS, *(one for one in OPTIONAL if one in wanted)):
        load = partial(importlib.import_module, module_of(name))
        yield Found(name, BUILT_IN, __version__, load)


def _entry_points() -> Iterator[Found]:
    for entry_point in importlib.metadata.entry_points(group=GROUP):
        dist = entry_point.dist
        name, version = (dist.name, dist.version) if dist else ("a distribution", "")
        yield Found(entry_point.name, name, version, entry_point.load)


def _folder(folder: str) -> Iterator[Found]:
    if not folder:
        return
    path = Path(folder)
    if not path.is_dir():
        raise SettingError(f"plugins: the folder {folder} does not exist")
    for file in sorted(path.glob("*.py")):
        if not file.name.startswith("_"):
            yield in_file(file)


def _module(file: Path) -> object:
    name = f"{_package(file.parent)}.{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and pickling look a module up by its name while it is being executed.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _package(folder: Path) -> str:
    """The package that the plugins of a folder are in, so that they may share modules of their own: by
    ``from ._helpers import …``, or by ``from _helpers import …``.
    """
    path = str(folder.resolve())
    name = f"attendance_hub_plugins_{hashlib.sha256(path.encode()).hexdigest()[:12]}"
    if name not in sys.modules:
        package = ModuleType(name, "The plugins of a folder.")
        package.__path__ = [path]
        sys.modules[name] = package
    if path not in sys.path:
        sys.path.append(path)  # last: nothing of a folder takes the place of what is installed
    return name
