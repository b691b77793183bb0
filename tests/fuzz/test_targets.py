"""Each target of the fuzzer holds on the inputs that it begins with, so that what it finds is new."""

from __future__ import annotations

import pytest
from fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_the_first_inputs_of_a_target_pass(name: str) -> None:
    target = TARGETS[name]
    assert target.seeds
    for raw in (b"", b"\n", bytes(range(256)), *target.seeds):
        target.run(raw[: target.longest])
