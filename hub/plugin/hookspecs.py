"""The hooks: eight functions that a plugin may implement, each with ``@hub.hookimpl``.

``docs/plugins.md`` has a section for each. ``settings`` is the plugin's own section of the configuration,
None where it declares none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pluggy

from hub.domain.delivery import CommittedDelivery, Delivery
from hub.domain.operations import Operation
from hub.plugin.discovery import GROUP
from hub.plugin.page import Page
from hub.plugin.source import Source
from hub.plugin.target import Target

if TYPE_CHECKING:
    import click

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


@hookspec
def register_sources(settings: Any) -> Iterable[Source]:  # type: ignore[empty-body]
    """Declare the plugin's sources. Called once, at start-up; an exception disables the plugin."""


@hookspec
def veto_delivery(delivery: Delivery, payload: Mapping[str, Any], settings: Any) -> str | None:
    """Return a sentence to refuse the delivery with 400, or None. Called before the transaction."""


@hookspec
def amend_operations(
    delivery: Delivery, operations: Sequence[Operation], settings: Any
) -> Sequence[Operation] | None:
    """Return other operations to apply instead, or None. Called before the transaction."""


@hookspec
def delivery_committed(delivery: CommittedDelivery, settings: Any) -> None:
    """Observe a delivery that is on the disk. Called on a thread of its own, after the commit."""


@hookspec
def register_targets(settings: Any) -> Iterable[Target]:  # type: ignore[empty-body]
    """Declare where every committed check-in is sent on. Called once, at start-up; an exception disables
    the plugin.
    """


@hookspec
def register_pages(settings: Any) -> Iterable[Page]:  # type: ignore[empty-body]
    """Declare the plugin's pages of the console. Called once, at start-up; an exception disables the
    plugin.
    """


@hookspec
def status_section(settings: Any) -> Mapping[str, Any] | None:
    """Return what the status page shows under the plugin's name: public, quick to make, JSON."""


@hookspec
def register_commands(group: click.Group, settings: Any) -> None:
    """Add commands to the ``attendance-hub`` command. Called when the command line needs them."""
