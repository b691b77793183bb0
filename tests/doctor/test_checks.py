"""Lines of a checkup: what they come to, how they are shown, and that no secret is among them."""

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

GOOD, ODD = ok("A", "is there"), warning("Bb", "is odd.", "Mend it.")
SECRET = "ghs_CanarySecret1"


@pytest.mark.parametrize(
    ("checks", "code", "said"),
    [
        ((), 0, "All that a review needs is here."),
        ((GOOD, ODD, ODD), 0, "All that a review needs is here: 2 warnings."),
        ((GOOD, unchecked("C", "x")), 0, "All that a review needs is here: 1 not checked."),
        ((ODD, fault("C", "x", "y")), 3, "No review could be made (exit code 3): 1 fault, 1 warning."),
        (
            (fault("C", "x", "y"), wrong("D", "x"), wrong("E", "x")),
            2,
            "A review would end with exit code 2: its settings are wrong: 2 wrong, 1 fault.",
        ),
    ],
)
def test_the_worst_line_decides(checks: tuple[Check, ...], code: int, said: str) -> None:
    sections = [Section("One", checks[:1]), Section("Two", checks[1:])]
    assert verdict(sections) is ExitCode(code)
    assert conclusion(sections) == said


def test_an_error_is_a_line_and_settings_are_one_for_each_fault() -> None:
    assert failed("S", SettingsError(["a", "b"])) == (wrong("S", "a"), wrong("S", "b"))
    error = GitHubError(GitHubErrorKind.FORBIDDEN, "No.", "Do.")
    assert failed("S", error) == (fault("S", "No.", "Do."),)


def test_the_text_has_a_line_for_each_check_and_one_for_its_remedy() -> None:
    text = as_text([Section("Things", (GOOD, ODD, unchecked("C", "why")))], "A checkup")
    assert text.splitlines() == [
        "A checkup",
        "",
        "Things",
        "  ok       A   is there",
        "  warning  Bb  is odd.",
        "               > Mend it.",
        "  -        C   not checked: why",
        "",
        "All that a review needs is here: 1 warning, 1 not checked.",
    ]


def test_the_json_has_the_same() -> None:
    told = as_json([Section("Things", (ODD, unchecked("C", "why")))], "1.2")
    one = {"section": "Things", "name": "Bb", "state": "warning", "said": "is odd.", "remedy": "Mend it."}
    other = {"section": "Things", "name": "C", "state": "unchecked", "said": "not checked: why", "remedy": ""}
    assert told == {"version": 1, "hunkwise": "1.2", "exit_code": 0, "checks": [one, other]}


@pytest.mark.parametrize(
    ("said", "shown"),
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
def test_no_secret_and_nothing_that_moves_a_terminal_is_shown(said: str, shown: str) -> None:
    section = Section("S", (Check(f"N {SECRET}", CheckState.FAULT, said, f"Remove {SECRET}."),))
    assert Mask([SECRET, "short"]).section(section).checks == (
        Check("N ***", CheckState.FAULT, shown, "Remove ***."),
    )


def test_secrets_are_known_before_the_settings_are_right() -> None:
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
