"""Tests the script that writes the image's digest into a release's action.yml."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "scripts" / "image" / "pin_action.py"
DIGEST = "0123456789abcdef" * 4
IMAGE = f"docker://registry.example/octo/hunkwise@sha256:{DIGEST}"


def pin(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False)


@pytest.fixture
def action(tmp_path: Path) -> Path:
    copy = tmp_path / "action.yml"
    copy.write_text((ROOT / "action.yml").read_text(encoding="utf-8"), encoding="utf-8")
    return copy


def test_changes_one_line(action: Path) -> None:
    before = action.read_text(encoding="utf-8").splitlines()
    assert pin(IMAGE, action).returncode == 0
    after = action.read_text(encoding="utf-8").splitlines()
    assert [line for line in after if line not in before] == [f"  image: {IMAGE}"]
    assert len(after) == len(before)
    assert yaml.safe_load(action.read_text(encoding="utf-8"))["runs"] == {"using": "docker", "image": IMAGE}


def test_replaces_earlier_digest(action: Path) -> None:
    other = IMAGE.replace(DIGEST, "f" * 64)
    assert pin(IMAGE, action).returncode == pin(other, action).returncode == 0
    assert yaml.safe_load(action.read_text(encoding="utf-8"))["runs"]["image"] == other


@pytest.mark.parametrize(
    "image",
    [
        "Dockerfile",
        "docker://registry.example/octo/hunkwise:v1",
        f"docker://registry.example/octo/hunkwise@sha256:{DIGEST[:-1]}",
        f"registry.example/octo/hunkwise@sha256:{DIGEST}",
        f"docker://registry.example/octo/hunkwise@sha256:{DIGEST}\n  entrypoint: /bin/sh",
        r"docker://registry.example/octo/\g<0>@sha256:" + DIGEST,
    ],
)
def test_refuses_image_without_digest(action: Path, image: str) -> None:
    before = action.read_text(encoding="utf-8")
    refused = pin(image, action)
    assert refused.returncode == 1
    assert "by its digest" in refused.stderr
    assert action.read_text(encoding="utf-8") == before


def test_refuses_action_without_image_and_missing_arguments(tmp_path: Path) -> None:
    action = tmp_path / "action.yml"
    action.write_text("runs:\n  using: node20\n  main: index.js\n")
    for refused, words in ((pin(IMAGE, action), "action.yml"), (pin(), "docker://")):
        assert refused.returncode == 1
        assert words in refused.stderr
