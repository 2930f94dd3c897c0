"""Pages that plugins declare; how they are shown is tested with the console."""

import pytest

from hub import Html, Page, PageView, Table
from hub.config.settings import Settings
from hub.plugin.loading import Plugins

OWN = """
from hub import Page, Table, hookimpl

@hookimpl
def register_pages(settings):
    {body}
"""


def show(view):
    return Table((), ())


@pytest.fixture
def load(tmp_path):
    def load(body):
        (tmp_path / "own.py").write_text(OWN.format(body=body))
        return Plugins(Settings(plugins=str(tmp_path)))

    return load


def test_they_are_loaded_with_their_plugin(load):
    plugins = load("return [Page(name='a', title='A', show=lambda view: Table((), ()))]")
    assert [(one.name, [page.name for page in one.pages]) for one in plugins.loaded][-1] == (
        "own",
        ["a"],
    )
    assert "register_pages" in plugins.loaded[-1].hooks


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("return ['x']", "register_pages gave a value of the type str"),
        ("return 1", "register_pages"),
        ("1 / 0", "ZeroDivisionError"),
        ("return [Page(name='A', title='A', show=print)]", "use lower-case letters"),
        ("return [Page(name='a', title=' ', show=print)]", "title is empty"),
        ("return [Page(name='a', title='A', show=1)]", "show is no function"),
    ],
)
def test_what_is_no_page_disables_the_plugin(load, body, reason):
    (failed,) = load(body).failed
    assert reason in failed.reason


def test_values():
    page = Page(name="a", title="A", show=show)
    assert page.show(PageView({}, None)).rows == ()
    assert Html("<p>").values == {}
