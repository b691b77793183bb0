"""Compares action.yml with the code: inputs, outputs and defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from hunkwise.settings.inputs import KNOWN_INPUTS, read_inputs
from hunkwise.settings.parsing import DEFAULT_CONFIG_PATH

ACTION: dict[str, Any] = yaml.safe_load((Path(__file__).parents[1] / "action.yml").read_text())
INPUTS: dict[str, dict[str, str]] = ACTION["inputs"]


def test_runs_inputs_and_outputs() -> None:
    assert ACTION["runs"] == {"using": "docker", "image": "Dockerfile"}
    assert sorted(INPUTS) == sorted(KNOWN_INPUTS)
    assert " ".join(ACTION["outputs"]) == (
        "conclusion findings highest-severity coverage review-url placement report sarif model-calls input-tokens"
        " output-tokens ai-credits matrix shards plan part issue-url"
    )


@pytest.mark.parametrize("name", [*INPUTS, *ACTION["outputs"]])
def test_descriptions_are_sentences(name: str) -> None:
    description = (INPUTS.get(name) or ACTION["outputs"][name])["description"]
    assert description.endswith(".")
    assert "\n" not in description


def test_only_inputs_outside_of_the_file_have_a_default() -> None:
    assert {name: entry["default"] for name, entry in INPUTS.items() if "default" in entry} == {
        "github-token": "${{ github.token }}",
        "config": DEFAULT_CONFIG_PATH,
    }


def test_defaults_are_valid_inputs() -> None:
    variables = {f"INPUT_{name.upper()}": entry.get("default", "") for name, entry in INPUTS.items()}
    inputs = read_inputs(variables | {"INPUT_GITHUB-TOKEN": "ghs_token"})
    assert inputs.texts == {}
    assert inputs.warnings == ()
