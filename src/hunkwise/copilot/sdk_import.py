"""Imports the SDK in half the time, if it is the version that this was tested with.

The SDK declares some 1,900 dataclasses, of which a review uses a dozen, and Python compiles three methods for each of
them during the import: 0.5 s of a start of 1.8 s on two cores. Here a class of the SDK becomes a dataclass when its
first instance is created; instances are the same. Another version of the SDK is imported as usual, also if this
fails.
"""

from __future__ import annotations

import dataclasses
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hunkwise.copilot.find_cli import SDK_VERSION

_PACKAGE = "copilot."
_deferred: set[type] = set()
_lock = threading.RLock()
_dataclass = dataclasses.dataclass


def import_sdk() -> None:
    """Imports the SDK. Later `import copilot` statements find it loaded."""
    if "copilot" not in sys.modules and not (_is_tested_version() and _import_quickly()):
        import copilot  # noqa: F401


def _is_tested_version() -> bool:
    # importlib.metadata would take 20 ms.
    spec = find_spec("copilot")
    if spec is None or spec.origin is None:
        return False
    return (Path(spec.origin).parents[1] / f"github_copilot_sdk-{SDK_VERSION}.dist-info").is_dir()


def _import_quickly() -> bool:
    """Returns whether the import succeeded; if not, no module of the SDK is loaded."""
    import pydantic  # noqa: F401  # imported first, so that its own dataclasses are created as usual

    with suppress(Exception):  # after any error, the usual import follows and raises its own
        with _classes_deferred():
            import copilot  # noqa: F401
        return True
    for name in [name for name in sys.modules if name == "copilot" or name.startswith(_PACKAGE)]:
        del sys.modules[name]
    _deferred.clear()
    return False


@contextmanager
def _classes_deferred() -> Iterator[None]:
    def decorator(cls: type | None = None, /, **options: Any) -> Any:
        plain = cls is not None and not options and cls.__module__.startswith(_PACKAGE)
        if plain and "__init__" not in vars(cls):
            return defer(cls)  # type: ignore[arg-type]  # `plain` implies that it is a class
        if cls is None:
            return lambda later: decorator(later, **options)
        _complete_all(cls)  # a dataclass copies the fields of its bases when it is created
        return _dataclass(cls, **options)

    dataclasses.dataclass = decorator  # during one import
    try:
        yield
    finally:
        dataclasses.dataclass = _dataclass


def defer(cls: type) -> type:
    """Makes `cls` a dataclass when its first instance is created, after its dataclass bases."""

    def complete_first(self: object, *args: Any, **kwargs: Any) -> None:
        _complete_all(type(self))
        initialize: Callable[..., None] = vars(cls)["__init__"]
        initialize(self, *args, **kwargs)

    _deferred.add(cls)
    cls.__init__ = complete_first  # type: ignore[misc]  # replaced by the dataclass's own
    return cls


def _complete_all(cls: type) -> None:
    """Completes the class after its bases. Other threads wait meanwhile."""
    with _lock:
        for base in reversed(cls.__mro__):
            if base in _deferred:
                _complete(base)
                _deferred.discard(base)


def _complete(cls: type) -> None:
    # `dataclass` keeps an existing `__init__`, and ours must stay until the real one replaces it: another thread
    # may be about to call it. So a subclass without own fields is created, to get its method.
    undocumented = not cls.__doc__
    _dataclass(cls)
    subclass = type(cls.__name__, (cls,), {"__module__": cls.__module__, "__qualname__": cls.__qualname__})
    complete: type = _dataclass(subclass)
    if undocumented:
        cls.__doc__ = complete.__doc__
    cls.__init__ = vars(complete)["__init__"]  # type: ignore[misc]  # see `defer`
