"""docs/service.md names the variables that are read, and the App's manifest has what the jobs need."""

from __future__ import annotations

import json
from pathlib import Path

from hunkwise.copilot.isolation import ROOT_VARIABLE
from hunkwise.service.installation import EVENTS, PERMISSIONS, SUBSCRIPTIONS
from hunkwise.service.job import KEPT
from hunkwise.service.settings import read_service_settings
from tests.fakes.github_app import key_pair
from tests.pages import ROOT, code_spans, page, table

PAGE = page("docs/service.md")


class Variables(dict[str, str]):
    """Variables that remember which of them were asked for."""

    asked: set[str]

    def __init__(self, values: dict[str, str]) -> None:
        super().__init__(values)
        self.asked = set()

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]  # str only
        self.asked.add(name)
        return super().get(name, default)


def test_every_variable_is_in_the_table(tmp_path: Path) -> None:
    files = {"app.pem": key_pair()[0], "webhook": "secret"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    environ = Variables(
        {
            "HUNKWISE_APP_ID": "1",
            "HUNKWISE_APP_KEY_FILE": str(tmp_path / "app.pem"),
            "HUNKWISE_WEBHOOK_SECRET_FILE": str(tmp_path / "webhook"),
        }
    )
    read_service_settings(environ)
    told = {name for row in table(PAGE, "Variable") for name in code_spans(row[0])}
    assert told == environ.asked - {"HOME", "XDG_DATA_HOME"}


def test_the_manifest_has_the_permissions_and_events_of_the_jobs() -> None:
    manifest = json.loads((ROOT / "examples/service/app-manifest.json").read_text(encoding="utf-8"))
    needed = {"metadata": "read"}
    for permissions in (*PERMISSIONS.values(), SUBSCRIPTIONS):
        for name, level in permissions.items():
            needed[name] = max(level, needed.get(name, level))  # `write` is more than `read`
    assert manifest["default_permissions"] == needed
    assert sorted(manifest["default_events"]) == list(EVENTS)
    assert manifest["hook_attributes"]["url"].endswith("/webhooks/github")


def test_a_step_isolates_the_cli_where_the_image_of_its_worker_does() -> None:
    assert ROOT_VARIABLE in KEPT
    assert f"ENV {ROOT_VARIABLE}=" in (ROOT / "Dockerfile").read_text(encoding="utf-8")
