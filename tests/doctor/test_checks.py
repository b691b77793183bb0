"""Check lines of the doctor: result, text and JSON, and redaction of secrets."""

from __future__ import annotations

from base64 import b64encode

import pytest

from hunkwise.commands.backend import secrets_of
from hunkwise.doctor.checks import (
    Check,
    CheckState,
    Mask,
    Section,
    as_json,
    as_text,
    conclusion,
    failed,
    fault,
    ok,
    unchecked,
    verdict,
    warning,
    wrong,
)
from hunkwise.domain.review import ExitCode
from hunkwise.errors import GitHubError, GitHubErrorKind, SettingsError

GOOD, WARNING = ok("A", "is there"), warning("Bb", "is odd.", "Fix it.")
SECRET = "ghs_CanarySecret1"


@pytest.mark.parametrize(
    ("checks", "code", "expected"),
    [
        ((), 0, "Nothing wrong was found."),
        ((GOOD, WARNING, WARNING), 0, "Nothing wrong was found; there are 2 warnings."),
        ((GOOD, unchecked("C", "x")), 0, "Nothing wrong was found; 1 thing was not checked."),
        (
            (WARNING, fault("C", "x", "y")),
            3,
            "No review could be made (exit code 3); 1 thing is missing or broken; there is 1 warning.",
        ),
        (
            (fault("C", "x", "y"), wrong("D", "x"), wrong("E", "x")),
            2,
            "A review would end with exit code 2; 2 settings are wrong; 1 thing is missing or broken.",
        ),
    ],
)
def test_worst_line_decides_the_result(checks: tuple[Check, ...], code: int, expected: str) -> None:
    sections = [Section("One", checks[:1]), Section("Two", checks[1:])]
    assert verdict(sections) is ExitCode(code)
    assert conclusion(sections) == expected


def test_error_is_one_line_and_settings_error_one_per_fault() -> None:
    assert failed("S", SettingsError(["a", "b"])) == (wrong("S", "a"), wrong("S", "b"))
    error = GitHubError(GitHubErrorKind.FORBIDDEN, "No.", "Do.")
    assert failed("S", error) == (fault("S", "No.", "Do."),)


def test_text_has_a_line_per_check_and_remedy() -> None:
    shared = warning("Dd", "is odd.", "Fix both.")
    text = as_text([Section("Things", (GOOD, WARNING, shared, shared, unchecked("C", "why")))], "A checkup")
    assert text.splitlines() == [
        "A checkup",
        "",
        "Things",
        "  ok       A   is there",
        "  warning  Bb  is odd.",
        "               > Fix it.",
        "  warning  Dd  is odd.",
        "  warning  Dd  is odd.",
        "               > Fix both.",
        "  -        C   not checked: why",
        "",
        "Nothing wrong was found; there are 3 warnings; 1 thing was not checked.",
    ]


def test_json_has_the_same_checks() -> None:
    report = as_json([Section("Things", (WARNING, unchecked("C", "why")))], "1.2")
    one = {"section": "Things", "name": "Bb", "state": "warning", "said": "is odd.", "remedy": "Fix it."}
    other = {"section": "Things", "name": "C", "state": "unchecked", "said": "not checked: why", "remedy": ""}
    assert report == {"version": 1, "hunkwise": "1.2", "exit_code": 0, "checks": [one, other]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"has {SECRET}.", "has ***."),
        (f"has {SECRET[::-1]}.", "not shown: it holds one of this run's secrets"),
        (b64encode(SECRET.encode()).decode(), "not shown: it holds one of this run's secrets"),
        (f"{'x' * 695}{SECRET}", "x" * 695 + "***"),
        (f"{'x' * 695} {SECRET[::-1]}", "not shown: it holds one of this run's secrets"),
        ("two\r\nlines\x1b[2J\u202e", "two lines[2J"),
        ("y" * 900, "y" * 699 + "…"),
    ],
)
def test_secrets_and_terminal_controls_are_not_shown(text: str, expected: str) -> None:
    section = Section("S", (Check(f"N {SECRET}", CheckState.FAULT, text, f"Remove {SECRET}."),))
    assert Mask([SECRET, "short"]).section(section).checks == (
        Check("N ***", CheckState.FAULT, expected, "Remove ***."),
    )


def test_secrets_are_found_with_invalid_settings() -> None:
    environ = {
        "INPUT_GITHUB-TOKEN": "with a\nblank",
        "INPUT_PROVIDER_API_KEY": "key-one",
        "GH_TOKEN": "ghp_stray",
        "ACTIONS_RUNTIME_TOKEN": "eyJrunner",
        "HTTPS_PROXY": "http://me:pass-word@proxy:8080",
        "HTTP_PROXY": "http://[broken",
        "GITHUB_TOKEN": "abc",
        "INPUT_MODEL": "no-secret",
    }
    found = {"with a\nblank", "key-one", "ghp_stray", "eyJrunner", "pass-word"}
    assert set(secrets_of(environ)) == found
