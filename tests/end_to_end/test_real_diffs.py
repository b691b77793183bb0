"""Reviews two releases of Django: each hunk is in one prompt, or its file is listed as skipped."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter

import pytest

from tests.end_to_end.prompts import Row, rows_in
from tests.end_to_end.step import PROVIDER_KEY, ROOT
from tests.end_to_end.world import World
from tests.fakes.django import import_django
from tests.fakes.git_repository import GitRepository

_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")
Line = tuple[str, str, int, str]
"""Path, kind (+ or -), number, text."""


@pytest.fixture(scope="module")
def django(tmp_path_factory: pytest.TempPathFactory) -> GitRepository:
    """Returns a repository with the earlier release on main and the later one on feature."""
    return import_django(tmp_path_factory.mktemp("django") / "work", {"main": "5.1", "feature": "5.2"})


def changed_lines(repository: GitRepository) -> dict[str, list[Line]]:
    """Returns the changed lines of each text file according to git."""
    settings = ["-c", "core.quotePath=false", "-c", "diff.renameLimit=0"]
    shape = ["-U3", "-M", "--no-prefix", "--no-color"]
    command = ["git", *settings, "diff", *shape, "main", "feature"]
    done = subprocess.run(command, cwd=repository.path, capture_output=True, check=True)
    found: dict[str, list[Line]] = {}
    path, old, new, in_header = "", 0, 0, True
    # Only a line feed ends a line of a diff; Django's own files hold other line ends.
    for raw in done.stdout.split(b"\n"):
        row = raw.decode("utf-8", "backslashreplace")
        if row.startswith("diff --git "):
            in_header = True
        elif in_header and row[:4] in ("--- ", "+++ "):
            name = row[4:].removesuffix("\t")
            path = path if name == "/dev/null" else name
        elif header := _HUNK.match(row):
            in_header, old, new = False, int(header[1]), int(header[2])
        elif not in_header and row[:1] in ("-", "+", " "):
            if row[0] != " ":
                number = old if row[0] == "-" else new
                found.setdefault(path, []).append((path, row[0], number, row[1:].removesuffix("\r")))
            old += row[0] != "+"
            new += row[0] != "-"
    return found


def as_line(row: Row) -> Line:
    return row.path, row.kind, row.number, row.text


def unescaped(line: Line) -> Line:
    """Returns a shown line with the escapes of invisible characters decoded."""
    text = re.sub(r"\\u([0-9a-f]{4})|\\U([0-9a-f]{8})", lambda m: chr(int(m[1] or m[2], 16)), line[3])
    return *line[:3], text


def assert_each_line_is_in_one_prompt(world: World, repository: GitRepository, report: object) -> None:
    assert isinstance(report, dict)
    expected = changed_lines(repository)
    files = {file["path"]: file for file in report["coverage"]["files"]}
    skipped = {path for path, file in files.items() if file["reason"]}
    assert set(expected) <= set(files)
    shown = Counter(
        unescaped(as_line(row))
        for request in world.model.requests
        for row in rows_in(request)
        if row.kind != " "
    )
    lines = [unescaped(line) for path, lines in expected.items() if path not in skipped for line in lines]
    assert len(lines) > 20_000
    assert shown == Counter(lines)
    assert {path for path in skipped if files[path]["missing"]} == set()
    assert report["coverage"]["percent"] == 100
    assert report["coverage"]["reviewed_lines"] == len(lines)


@pytest.mark.nightly
def test_command_line_reviews_each_line_once(world: World, django: GitRepository) -> None:
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(world.folder),
        "TMPDIR": str(world.folder),
        "COPILOT_PROVIDER_BASE_URL": f"{world.model_url}/v1",
        "COPILOT_PROVIDER_API_KEY": PROVIDER_KEY,
        "COPILOT_MODEL": "scripted-model",
    }
    command = [sys.executable, str(ROOT / "entrypoint.py"), "review", "--format", "json", "--base", "main"]
    done = subprocess.run(
        [*command, "--head", "feature"],
        cwd=django.path,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert PROVIDER_KEY not in done.stdout + done.stderr
    assert_each_line_is_in_one_prompt(world, django, json.loads(done.stdout))


@pytest.mark.nightly
def test_action_reviews_each_line_once(world: World, django: GitRepository) -> None:
    world.serve_repository(django)
    world.open()
    result = world.run(workspace=django.path, code=0)
    assert_each_line_is_in_one_prompt(world, django, result.report)
    assert len(world.github.journal) <= 30
