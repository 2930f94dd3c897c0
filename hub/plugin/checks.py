"""What a plugin may give the hub: each check names the place in the plugin, the fault and the mend."""

import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hub.domain.operations import Operation
from hub.domain.timestamps import utc_now
from hub.errors import FAULTS, PluginError, Refused
from hub.plugin import hookspecs
from hub.plugin.discovery import GROUP
from hub.plugin.sender import Reply
from hub.plugin.source import Source
from hub.wire.hmacs import RequestAuthentication
from hub.wire.request import Request
from hub.wire.signatures import Open

HOOKS = tuple(name for name, value in vars(hookspecs).items() if hasattr(value, f"{GROUP}_spec"))
"""The names of all hooks, in the order of their specifications."""


def operations_of(given: Any, function: Callable[..., Any]) -> tuple[Operation, ...]:
    """What a plugin's ``function`` gave, as operations. Raises PluginError for anything else."""
    if not isinstance(given, Iterable):
        raise PluginError(
            f"{place_of(function)} gave {kind_of(given)}, not operations; "
            "yield hub.CheckIn(…) or another"
        )
    operations = tuple(given)
    for operation in operations:
        if not isinstance(operation, Operation):
            raise PluginError(
                f"{place_of(function)} yielded {kind_of(operation)}, which is no operation; "
                "yield hub.CheckIn(…) or another"
            )
    return operations


def require_sentence(returned: Any, function: Callable[..., Any]) -> str | None:
    """What ``function`` returned, if it is a sentence that refuses, or None. Else raises PluginError."""
    if returned is None or (isinstance(returned, str) and returned.strip()):
        return returned
    raise PluginError(
        f"{place_of(function)} returned {kind_of(returned)}; "
        "return a sentence to refuse the delivery, or None to let it pass"
    )


def require_reply(returned: Any, function: Callable[..., Any]) -> None:
    """Raise PluginError unless ``function`` returned an answer that can be sent."""
    if not isinstance(returned, Reply):
        raise PluginError(f"{place_of(function)} returned {kind_of(returned)}; return hub.Reply(…)")
    text = isinstance(returned.body, str) and isinstance(returned.content_type, str)
    if not text or not returned.content_type.isascii() or not returned.content_type.isprintable():
        raise PluginError(f"{place_of(function)}: body and content_type of a hub.Reply are text")
    if type(returned.status) is not int or not 200 <= returned.status < 600:
        raise PluginError(f"{place_of(function)}: a status of a hub.Reply is one from 200 to 599")
    returned.body.encode()


def require_section(returned: Any, function: Callable[..., Any]) -> None:
    """Raise an error unless ``function`` returned what the status page can show, or None."""
    if not isinstance(returned, Mapping | None):
        raise PluginError(
            f"{place_of(function)} returned {kind_of(returned)}; return a mapping, or None"
        )
    json.dumps(dict(returned or {}), allow_nan=False, ensure_ascii=False).encode()


def several(returned: Any, kind: type, function: Callable[..., Any]) -> Iterable[Any]:
    """The values of a kind that a hook declares. Raises PluginError for anything but several of them."""
    if returned is None:
        return ()
    if not isinstance(returned, Iterable):
        raise PluginError(
            f"{place_of(function)} gave one {type(returned).__name__}; "
            f"give a list of hub.{kind.__name__} values"
        )
    return returned


def require_hooks(plugin: object, callers: Iterable[Any]) -> None:
    """Raise PluginError for a plugin that implements an unknown hook, wraps a hook, or has no hook."""
    callers = list(callers)
    unknown = sorted(caller.name for caller in callers if not caller.has_spec())
    if unknown:
        known = ", ".join(HOOKS)
        raise PluginError(f"there is no hook named {unknown[0]}; the hooks are {known}")
    if any(_is_wrapper(one, plugin) for caller in callers for one in caller.get_hookimpls()):
        raise PluginError("it wraps a hook; the hub calls plain implementations only")
    if not callers:
        raise PluginError("it implements no hook; mark its functions with @hub.hookimpl")


def wrong_argument(plugin: object) -> str | None:
    """What is wrong with the arguments of a plugin's hooks, if something is."""
    for name in HOOKS:
        function = getattr(plugin, name, None)
        if function is None or not hasattr(function, f"{GROUP}_impl"):
            continue
        known = list(inspect.signature(getattr(hookspecs, name)).parameters)
        for argument in inspect.signature(function).parameters:
            if argument not in known:
                return f"{place_of(function)} has no argument {argument}; it may have {', '.join(known)}"
    return None


def probe(source: Source) -> None:
    """Ask the source's authentication about a request without any credential.

    Raises PluginError where it does not say no as it must.
    """
    scheme = source.authenticate
    if isinstance(scheme, Open):
        return
    over_all = isinstance(scheme, RequestAuthentication)
    function = getattr(type(scheme), "verify_request" if over_all else "verify")
    where = f"source {source.name}: {place_of(function)}"
    try:
        returned: object
        if isinstance(scheme, RequestAuthentication):
            returned = scheme.verify_request(Request(), ("",), utc_now())  # type: ignore[func-returns-value]
        else:
            returned = scheme.verify({}, b"", ("",), utc_now())  # type: ignore[func-returns-value]
    except Refused:
        return
    except FAULTS as error:
        raise PluginError(
            f"{where} raised {type(error).__name__} for a request without credentials; "
            "raise hub.Unauthenticated"
        ) from None
    if returned is not None:
        raise PluginError(
            f"{where} returned {returned!r}; it must raise hub.Unauthenticated, or return nothing"
        )
    raise PluginError(
        f"{where} accepts a request without credentials; raise hub.Unauthenticated, or use hub.OPEN"
    )


def kind_of(value: object) -> str:
    """What a value is; not itself, which may tell of a person."""
    return "None" if value is None else f"a value of the type {type(value).__name__}"


def place_of(function: Any) -> str:
    """Where a function is written: its name, file and line."""
    function = getattr(function, "func", function)  # what functools.partial was given
    code = getattr(function, "__code__", None)
    if code is None:
        return type(function).__name__
    return f"{code.co_name} ({code.co_filename}:{code.co_firstlineno})"


def _is_wrapper(implementation: Any, plugin: object) -> bool:
    return implementation.plugin is plugin and (
        implementation.wrapper or implementation.hookwrapper
    )
