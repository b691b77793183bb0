"""Where the state of audits is kept, and how the files of their jobs are read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hunkwise.commands.audit_stores import StateFile, default_path, read_parts, read_plan_file
from hunkwise.errors import SettingsError
from hunkwise.flows.audit_merge import AuditMerge, StoredAudit
from hunkwise.publish.audit_files import AuditPlan, part_json, plan_json
from hunkwise.publish.audit_issue import AuditReport
from hunkwise.publish.conclusion import Gates, PublishedReview, conclude
from hunkwise.settings.audit_settings import AuditSettings
from hunkwise.tracking.audit_state import AuditState, as_json
from hunkwise.tracking.ledger import LedgerUpdate
from tests.flows.audits import FakeRepository, plan
from tests.publish.audit_reports import report
from tests.publish.samples import review
from tests.tracking.ledgers import entry_of

STATE = AuditState("site", "a" * 40, "0" * 16, 3, b"\x05", entries=(entry_of(1),))


def merged(state: AuditState = STATE) -> tuple[AuditMerge, AuditReport]:
    return AuditMerge(state, LedgerUpdate(), ()), report(0)


def fault_of(path: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        StateFile(path, "site").read()
    (sentence,) = caught.value.faults
    return sentence


def test_a_state_file_comes_back_as_it_was_written(tmp_path: Path) -> None:
    store = StateFile(tmp_path / "folder" / "state.json", "site")
    assert store.read() == StoredAudit()
    odd = replace(entry_of(2), record=replace(entry_of(2).record, path="caf\udce9.py"))
    state = replace(STATE, entries=(entry_of(1), odd))
    assert store.write(*merged(state), AuditSettings()) == ()
    assert store.read() == StoredAudit(state)
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["state.json"]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is damaged, or is no state of an audit"),
        (b"[" * 100_000, "is damaged, or is no state of an audit"),
        (b"{}", "is damaged, or is no state of an audit"),
        (b"\xff", "is damaged, or is no state of an audit"),
        (
            json.dumps({**as_json(STATE), "words": []}).encode(),
            "is damaged, or is no state of an audit",
        ),
        (
            json.dumps(as_json(replace(STATE, repository="other"))).encode(),
            "is about another repository, other",
        ),
    ],
)
def test_a_state_that_cannot_be_used_is_refused(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(content)
    assert fault_of(path) == f"The state file {path} {what}: delete it, or name another one by --state."
    assert path.read_bytes() == content


def test_a_state_that_cannot_be_read_or_written_is_a_fault(tmp_path: Path) -> None:
    assert "cannot be read (Is a directory)" in fault_of(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="cannot be written"):
        StateFile(tmp_path / "file" / "state.json", "site").write(*merged(), AuditSettings())


def test_the_state_of_a_clone_is_in_the_users_cache(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    home = default_path(tmp_path / "one", {"HOME": "/home/mona"})
    assert home.parent == Path("/home/mona/.cache/hunkwise/audits")
    cache = default_path(tmp_path / "one", {"HOME": "/home/mona", "XDG_CACHE_HOME": "/cache"})
    assert cache == Path("/cache/hunkwise/audits", home.name)
    (tmp_path / "link").symlink_to(tmp_path / "one")
    names = {default_path(tmp_path / name, {"HOME": "/"}).name for name in ("one", "link", "two/../one")}
    assert names == {home.name}
    assert default_path(tmp_path / "other" / "one", {"HOME": "/"}).name != home.name
    long = default_path(tmp_path / ("\N{GRINNING FACE}" * 63), {"HOME": "/"}).name  # 252 bytes
    assert len(long.encode()) < 200


@pytest.fixture(scope="module")
def planned() -> AuditPlan:
    repository = FakeRepository()
    head = repository.commit({f"{name}.py": f"{name}\n" * 1_500 for name in "abc"})
    return plan(repository, head, shards=3)


def write_part(path: Path, planned: AuditPlan, shard: int) -> Path:
    made = review()
    view = PublishedReview(made, conclude(made, Gates()), (), repository="octo/site")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(part_json(view, planned, shard)))
    return path


def test_a_folder_is_read_with_all_below_it(tmp_path: Path, planned: AuditPlan) -> None:
    for number in (1, 2):
        write_part(tmp_path / f"parts/hunkwise-{number}/part.json", planned, number)
    single = write_part(tmp_path / "3.json", planned, 3)
    (tmp_path / "parts/log.txt").touch()
    parts, faults = read_parts([single, tmp_path / "parts"], planned)
    assert ([part.shard for part in parts], faults) == ([3, 1, 2], [])


def test_a_part_that_cannot_be_used_is_named_and_the_others_count(tmp_path: Path, planned: AuditPlan) -> None:
    good, second = (write_part(tmp_path / f"{name}.json", planned, 1) for name in "ab")
    damaged, missing = tmp_path / "c.json", tmp_path / "d.json"
    damaged.write_text("{")
    parts, faults = read_parts([good, second, damaged, missing], planned)
    assert [part.shard for part in parts] == [1]
    assert faults == [
        f"{second}: there is another report of shard 1; this one is not used.",
        f"{damaged}: The report is not JSON, or not whole. Make it again.",
        f"{missing} cannot be read (No such file or directory).",
    ]


def test_a_plan_is_read_from_its_file(tmp_path: Path, planned: AuditPlan) -> None:
    path = tmp_path / "plan.json"
    with pytest.raises(SettingsError, match="No such file or directory"):
        read_plan_file(path)
    path.write_text(json.dumps(plan_json(planned)))
    assert read_plan_file(path) == planned
