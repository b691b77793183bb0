"""The SDK is the same as after a plain import, and another SDK is imported as usual."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, ClassVar

import pytest

from hunkwise.copilot import sdk_import
from hunkwise.copilot.find_cli import SDK_VERSION
from hunkwise.copilot.sdk_import import defer
from tests.copilot.sessions import environ

ROOT = Path(__file__).resolve().parents[2]
DESCRIBE = """
import dataclasses, hashlib, inspect, sys
def classes():
    for name in sorted(sys.modules):
        if name.startswith("copilot"):
            for found in vars(sys.modules[name]).values():
                if isinstance(found, type) and found.__module__ == name:
                    yield found
described = {}
for cls in classes():
    if dataclasses.is_dataclass(cls):
        fields = [(f.name, str(f.type), str(f.default), str(f.default_factory), f.init, f.repr, f.compare, f.kw_only)
                  for f in dataclasses.fields(cls)]
        own = sorted(name for name in vars(cls) if name not in ("__doc__",))
        described[cls.__module__, cls.__qualname__] = (
            fields, str(inspect.signature(cls.__init__)), cls.__init__.__qualname__, cls.__match_args__,
            str(cls.__dataclass_params__), own, [base.__qualname__ for base in cls.__mro__],
            cls.__hash__ is None, inspect.getdoc(cls) or "")
for key in sorted(described):
    print(key, described[key])
"""
DEFERRED_IMPORT = """
import dataclasses
plain = dataclasses.dataclass
from hunkwise.copilot import sdk_import
sdk_import.import_sdk()
assert dataclasses.dataclass is plain
assert len(sdk_import._deferred) > 1000
for cls in list(sdk_import._deferred):
    sdk_import._complete_all(cls)
assert not sdk_import._deferred
"""


def python(code: str, *folders: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=environ(PYTHONPATH=":".join((*folders, str(ROOT / "src"), str(ROOT))), PYTHONHASHSEED="0"),
    )
    assert done.returncode == 0, done.stderr
    return re.sub(r" at 0x[0-9a-f]+", "", done.stdout)


def test_every_sdk_class_equals_that_of_a_plain_import() -> None:
    plain = python("import pydantic, copilot\n" + DESCRIBE).splitlines()
    quick = python(DEFERRED_IMPORT + DESCRIBE).splitlines()
    assert len(plain) > 1_000
    differing = [(one, other) for one, other in zip(plain, quick, strict=True) if one != other]
    assert differing[:3] == []


def test_sdk_import_completes_few_classes_and_parses_events() -> None:
    code = """
from hunkwise.copilot import sdk_import
sdk_import.import_sdk()
before = len(sdk_import._deferred)
from copilot.session_events import SessionEvent
fields = {"type": "assistant.usage", "id": "00000000-0000-0000-0000-000000000001", "parentId": None,
        "timestamp": "2026-01-02T03:04:05Z", "data": {"model": "m", "inputTokens": 3}}
one, other = SessionEvent.from_dict(fields), SessionEvent.from_dict(fields)
assert one == other and repr(one) == repr(other) and one.data.input_tokens == 3, one
assert 0 < before - len(sdk_import._deferred) < 10
import copilot
sdk_import.import_sdk()
"""
    python(code)


OTHER_SDK = """
import dataclasses
@dataclasses.dataclass
class Event:
    kind: str
    text: str = ""
FIELDS = [field.name for field in dataclasses.fields(Event)]
"""
"""An SDK that reads the fields of one of its dataclasses during its import."""


@pytest.mark.parametrize(
    ("events", "version", "deferred"),
    [
        (OTHER_SDK, SDK_VERSION, 0),
        (OTHER_SDK.rpartition("FIELDS")[0], SDK_VERSION, 1),
        (OTHER_SDK.rpartition("FIELDS")[0], "1.0.26", 0),
    ],
    ids=["another shape", "the tested one", "another version"],
)
def test_incompatible_sdk_is_imported_without_deferral(
    events: str, version: str, deferred: int, tmp_path: Path
) -> None:
    (tmp_path / "copilot").mkdir()
    (tmp_path / "copilot/__init__.py").write_text("from copilot.events import Event\n")
    (tmp_path / "copilot/events.py").write_text(events)
    (tmp_path / f"github_copilot_sdk-{version}.dist-info").mkdir()
    code = f"""
from hunkwise.copilot import sdk_import
sdk_import.import_sdk()
assert len(sdk_import._deferred) == {deferred}
import copilot, copilot.events
assert copilot.Event("a") == copilot.events.Event("a", "")
assert [field.name for field in sdk_import.dataclasses.fields(copilot.Event)] == ["kind", "text"]
"""
    python(code, str(tmp_path))


def test_missing_sdk_is_an_import_error() -> None:
    code = """
import sys
sys.path[:] = [path for path in sys.path if "site-packages" not in path]
from hunkwise.copilot import sdk_import
try:
    sdk_import.import_sdk()
except ModuleNotFoundError as error:
    assert error.name == "copilot", error
else:
    raise AssertionError
"""
    python(code)


@pytest.fixture
def reset_deferred() -> Any:
    yield
    assert sdk_import._deferred == set()


def test_deferred_class_equals_plain_class_after_completion(reset_deferred: None) -> None:
    @defer
    class Quick:
        """A class."""

        a: int
        b: list[int] = dataclasses.field(default_factory=list)
        c: str = dataclasses.field(default="c", repr=False)
        shared: ClassVar[int] = 5

    described: Any = Quick
    one = described(1)
    assert one == described(1, [], "c") != described(2)
    assert repr(one).endswith("Quick(a=1, b=[])")
    assert dataclasses.astuple(one) == (1, [], "c")
    assert dataclasses.replace(one, c="d").c == "d"
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'a'"):
        described()
    with pytest.raises(TypeError, match="unexpected keyword"):
        described(1, d=2)
    assert described.__init__.__qualname__.endswith("Quick.__init__")


def test_subclass_has_base_fields_first(reset_deferred: None) -> None:
    @defer
    class Base:
        a: int
        b: int = 2

    @defer
    class Derived(Base):
        c: int = 3

    described: Any = Derived
    assert dataclasses.astuple(described(1)) == (1, 2, 3)
    base: Any = Base
    assert dataclasses.astuple(base(1)) == (1, 2)


def test_plain_subclass_uses_init_of_base(reset_deferred: None) -> None:
    @defer
    class Base:
        a: int

    class Derived(Base):
        def __init__(self, a: int) -> None:
            super().__init__(a + 1)  # type: ignore[call-arg]  # the dataclass's own comes later

    assert Derived(1).a == 2


def test_subclass_with_options_or_init_has_base_fields(reset_deferred: None) -> None:
    @defer
    class Base:
        a: int

    @defer
    class Other:
        b: int

    with sdk_import._classes_deferred():

        @dataclasses.dataclass(kw_only=True)
        class Derived(Base):
            c: int

        @dataclasses.dataclass
        class Began(Other):
            c: int

            def __init__(self) -> None:
                self.b = self.c = 1

    assert [field.name for field in dataclasses.fields(Derived)] == ["a", "c"]
    assert [field.name for field in dataclasses.fields(Began)] == ["b", "c"]
    assert dataclasses.astuple(Began()) == (1, 1)


def test_classes_outside_of_the_sdk_are_completed_at_once() -> None:
    with sdk_import._classes_deferred():

        @dataclasses.dataclass
        class Ours:
            a: int

    assert dataclasses.is_dataclass(Ours)
    assert Ours(1) == Ours(1)


def test_dataclass_decorator_is_restored_after_failure() -> None:
    plain = dataclasses.dataclass
    with pytest.raises(KeyError), sdk_import._classes_deferred():
        raise KeyError
    assert dataclasses.dataclass is plain


def test_concurrent_first_instances_are_complete(reset_deferred: None) -> None:
    for _ in range(30):
        threads = 8
        found: list[Any] = []
        fields = {f"field_{number}": number for number in range(40)}
        cls: Any = defer(type("Made", (), {"__annotations__": dict.fromkeys(fields, int), **fields}))
        gate = threading.Barrier(threads)

        def make(cls: Any = cls, gate: Any = gate, found: list[Any] = found) -> None:
            gate.wait()
            found.append(cls(field_0=7))

        workers = [threading.Thread(target=make) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert len(found) == threads
        assert all(one == found[0] and one.field_0 == 7 for one in found)
