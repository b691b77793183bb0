"""Checks of tokens by their prefix, without showing values."""

from __future__ import annotations

import pytest

from hunkwise.doctor.checks import CheckState
from hunkwise.doctor.settings import TokenSettings, kind_of, token_checks, tokens_in

OK, WARNING, WRONG, UNCHECKED = CheckState.OK, CheckState.WARNING, CheckState.WRONG, CheckState.UNCHECKED
JOB = {"INPUT_GITHUB-TOKEN": "ghs_job"}


@pytest.mark.parametrize(
    ("token", "kind"),
    [
        ("ghs_x", "installation"),
        ("ghp_x", "classic"),
        ("gho_x", "OAuth"),
        ("ghu_x", "for a person"),
        ("github_pat_x", "fine-grained"),
        ("0123abcd", "not known"),
    ],
)
def test_kind_is_recognized_by_prefix(token: str, kind: str) -> None:
    assert kind in kind_of(token)
    assert token not in kind_of(token)


def states(environ: dict[str, str], *, job: bool = True) -> dict[str, CheckState]:
    found = list(token_checks(tokens_in(environ, job=job), environ))
    assert all(check.remedy for check in found if check.state in (WARNING, WRONG))
    return {check.name: check.state for check in found}


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (JOB, {"github-token": OK, "copilot-token": OK, "One token for both": WARNING}),
        (
            JOB | {"INPUT_DRY-RUN": "true"},
            {"github-token": OK, "copilot-token": OK, "One token for both": OK},
        ),
        (
            JOB | {"INPUT_COPILOT_TOKEN": "github_pat_own"},
            {"github-token": OK, "copilot-token": OK, "One token for both": OK},
        ),
        (
            JOB | {"INPUT_COPILOT_TOKEN": "ghs_job"},
            {"github-token": OK, "copilot-token": OK, "One token for both": WARNING},
        ),
        (
            JOB | {"INPUT_COPILOT-TOKEN": "ghp_classic"},
            {"github-token": OK, "copilot-token": WRONG, "One token for both": OK},
        ),
        (
            {"INPUT_GITHUB-TOKEN": "ghp_classic", "INPUT_COPILOT-TOKEN": "gho_x"},
            {"github-token": WARNING, "copilot-token": OK, "One token for both": OK},
        ),
        ({}, {"github-token": WRONG, "copilot-token": WRONG, "One token for both": OK}),
        (JOB | {"INPUT_PROVIDER-BASE-URL": "http://x"}, {"github-token": OK, "copilot-token": UNCHECKED}),
        (JOB | {"INPUT_COPILOT-URL": "localhost:1"}, {"github-token": OK, "copilot-token": UNCHECKED}),
        (JOB | {"INPUT_PUBLISH": "report.json"}, {"github-token": OK, "copilot-token": UNCHECKED}),
        (JOB | {"INPUT_AUDIT": "plan"}, {"github-token": OK, "copilot-token": UNCHECKED}),
        (
            JOB | {"INPUT_AUDIT": "run"},
            {"github-token": OK, "copilot-token": OK, "One token for both": WARNING},
        ),
        (
            JOB | {"INPUT_PUBLISH": "x", "GH_TOKEN": "a", "GITHUB_TOKEN": "b", "COPILOT_GITHUB_TOKEN": "c"},
            {
                "github-token": OK,
                "copilot-token": UNCHECKED,
                "COPILOT_GITHUB_TOKEN": WARNING,
                "GH_TOKEN": WARNING,
                "GITHUB_TOKEN": WARNING,
            },
        ),
    ],
)
def test_tokens_of_a_job(inputs: dict[str, str], expected: dict[str, CheckState]) -> None:
    assert states(inputs) == expected


GHES = {"GITHUB_SERVER_URL": "https://ghes.corp.example"}
GHE_COM = {"GITHUB_SERVER_URL": "https://octo.ghe.com"}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (JOB | GHES, {"github-token": OK, "copilot-token": WRONG}),
        (
            JOB | GHES | {"INPUT_COPILOT-TOKEN": "github_pat_own"},
            {"github-token": OK, "copilot-token": OK, "One token for both": OK},
        ),
        (
            JOB | GHES | {"INPUT_PROVIDER-BASE-URL": "http://x"},
            {"github-token": OK, "copilot-token": UNCHECKED},
        ),
        (
            JOB | GHE_COM,
            {"github-token": OK, "copilot-token": OK, "Copilot server": OK, "One token for both": WARNING},
        ),
        (
            JOB | GHE_COM | {"INPUT_COPILOT-URL": "localhost:1"},
            {"github-token": OK, "copilot-token": UNCHECKED},
        ),
    ],
)
def test_tokens_of_a_job_on_another_server(environ: dict[str, str], expected: dict[str, CheckState]) -> None:
    assert states(environ) == expected


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (GHE_COM, "octo.ghe.com, as in GITHUB_SERVER_URL: the CLI gets it as GH_HOST"),
        (GHE_COM | {"GH_HOST": "other.ghe.com"}, "other.ghe.com, which GH_HOST names"),
        ({"COPILOT_GH_HOST": "a.ghe.com", "GH_HOST": "b.ghe.com"}, "a.ghe.com, which COPILOT_GH_HOST names"),
        (
            GHE_COM | {"GH_HOST": "ghes.corp.example"},
            "octo.ghe.com, as in GITHUB_SERVER_URL: the CLI gets it as GH_HOST",
        ),
    ],
)
def test_server_of_copilot_is_reported(environ: dict[str, str], expected: str) -> None:
    found = {check.name: check.said for check in token_checks(tokens_in(JOB | environ, job=True), environ)}
    assert found["Copilot server"] == expected


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, {"GITHUB_TOKEN": UNCHECKED, "COPILOT_GITHUB_TOKEN": UNCHECKED}),
        (
            {"COPILOT_GITHUB_TOKEN": "gho_a"},
            {"GITHUB_TOKEN": UNCHECKED, "COPILOT_GITHUB_TOKEN": OK, "One token for both": OK},
        ),
        (
            {"COPILOT_GITHUB_TOKEN": "gho_a", "GH_TOKEN": "gho_a"},
            {"GITHUB_TOKEN": OK, "COPILOT_GITHUB_TOKEN": OK, "One token for both": WARNING},
        ),
        (
            {"GITHUB_TOKEN": "gho_a", "GH_TOKEN": "gho_b"},
            {"GITHUB_TOKEN": OK, "COPILOT_GITHUB_TOKEN": UNCHECKED, "GH_TOKEN": WARNING},
        ),
        (
            {"GITHUB_TOKEN": "gho_a", "GH_TOKEN": "gho_a"},
            {"GITHUB_TOKEN": OK, "COPILOT_GITHUB_TOKEN": UNCHECKED},
        ),
    ],
)
def test_tokens_of_a_shell(environ: dict[str, str], expected: dict[str, CheckState]) -> None:
    assert states(environ, job=False) == expected


def test_values_are_not_shown() -> None:
    assert "ghs_job" not in repr(TokenSettings(True, "ghs_job", "ghs_job"))
    environ = JOB | {"INPUT_COPILOT-TOKEN": "ghp_classic", "GH_TOKEN": "ghs_stray"}
    text = repr(list(token_checks(tokens_in(environ, job=True), environ)))
    assert not [value for value in environ.values() if value in text]
