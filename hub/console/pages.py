"""The pages that plugins add, inside the console's frame."""

from collections.abc import Iterator, Sequence
from functools import partial

from hub.console.frame import Frame
from hub.console.inside import Said
from hub.console.visit import Page, View, Visit
from hub.domain.tokens import Scope
from hub.errors import FAULTS
from hub.log import log_fault
from hub.plugin.page import Html, PageView, Table
from hub.plugin.page import Page as PluginPage
from hub.record.reader import Record
from hub.store.store import Store


class PluginPages:
    """``pages`` are given with the names of their plugins."""

    def __init__(self, store: Store, pages: Sequence[tuple[str, PluginPage]], frame: Frame) -> None:
        self._record = Record(store)
        self._pages = tuple(pages)
        self._frame = frame
        self.listed = tuple(
            {"path": f"/console/p/{plugin}/{page.name}", "title": page.title}
            for plugin, page in pages
        )

    def views(self) -> Iterator[View]:
        """A view for each."""
        for plugin, one in self._pages:
            path = f"p/{plugin}/{one.name}"
            yield View("GET", path, partial(self._show, plugin, one), Scope.READ, lane="plugins")

    def _show(self, plugin: str, one: PluginPage, visit: Visit) -> Page:
        """The page; a fault of the plugin is named, and harms nothing else."""
        try:
            made = one.show(PageView(visit.query, self._record))
            if isinstance(made, Table):
                return Page("plugin_table.html", {"title": one.title, "table": made})
            if isinstance(made, Html):
                template = self._frame.environment.from_string(made.template)
                html = template.render(dict(made.values))
                return Page("plugin_html.html", {"title": one.title, "html": html})
            raise TypeError(f"show gave a {type(made).__name__}; give hub.Html or hub.Table")
        except FAULTS as error:
            log_fault(f"plugin {plugin}: page {one.name} failed", error)
            raise Said(500, f"The page of the plugin {plugin} failed", "See the log") from error
