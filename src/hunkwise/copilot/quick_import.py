"""Imports the SDK in less than half its time.

The SDK declares some 1,900 dataclasses, of which a review uses a dozen, and Python compiles three methods for
each of them while importing: 1.2 s of the 1.9 s that `import copilot` takes on two cores. Here a class of the
SDK becomes a dataclass when its first instance is made. What an instance can see is the same.
"""

from __future__ import annotations

import dataclasses
import gc
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_PACKAGE = "copilot."
_deferred: set[type] = set()
_lock = threading.RLock()
_dataclass = dataclasses.dataclass


def import_sdk() -> None:
    """Imports the SDK. Later `import copilot` statements find it loaded; before, they work as ever."""
    # What the SDK needs is imported as usual, before its own classes are deferred.
    import pydantic  # noqa: F401

    # httpx's command line would bring click and rich, wherever they are installed.
    with _missing("httpx._main"):
        import httpx  # noqa: F401

    with _collector_paused(), _classes_deferred():
        import copilot  # noqa: F401


@contextmanager
def _missing(module: str) -> Iterator[None]:
    """Within the block, importing it is an ImportError."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]  # so the import system has it
    try:
        yield
    finally:
        del sys.modules[module]


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Nothing that an import makes is garbage: looking for some costs 0.1 s."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def _classes_deferred() -> Iterator[None]:
    def decorator(cls: type | None = None, /, **options: Any) -> Any:
        plain = cls is not None and not options and cls.__module__.startswith(_PACKAGE)
        if plain and "__init__" not in vars(cls):
            return defer(cls)  # type: ignore[arg-type]  # `plain` says that it is a class
        if cls is None:
            return lambda later: decorator(later, **options)
        _complete_all(cls)  # a dataclass takes its bases' fields when it is made
        return _dataclass(cls, **options)

    dataclasses.dataclass = decorator  # for the length of one import
    try:
        yield
    finally:
        dataclasses.dataclass = _dataclass


def defer(cls: type) -> type:
    """Makes `cls` a dataclass at its first instance, its dataclass bases before it."""

    def complete_first(self: object, *args: Any, **kwargs: Any) -> None:
        _complete_all(type(self))
        initialize: Callable[..., None] = vars(cls)["__init__"]
        initialize(self, *args, **kwargs)

    _deferred.add(cls)
    cls.__init__ = complete_first  # type: ignore[misc]  # the dataclass's own takes its place
    return cls


def _complete_all(cls: type) -> None:
    """Completes the class, its bases before it. Whoever comes meanwhile waits."""
    with _lock:
        for base in reversed(cls.__mro__):
            if base in _deferred:
                _complete(base)
                _deferred.discard(base)


def _complete(cls: type) -> None:
    # `dataclass` keeps an `__init__` that is there, and ours must stay until the real one takes its place:
    # another thread may be about to call it. So a subclass without fields of its own is made, for its method.
    undocumented = not cls.__doc__
    _dataclass(cls)
    heir = type(cls.__name__, (cls,), {"__module__": cls.__module__, "__qualname__": cls.__qualname__})
    whole: type = _dataclass(heir)
    if undocumented:
        cls.__doc__ = whole.__doc__
    cls.__init__ = vars(whole)["__init__"]  # type: ignore[misc]  # see `defer`
