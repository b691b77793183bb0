"""The fake GitHub's routes for reading: repository, pull request, files, contents, trees, comparison."""

from __future__ import annotations

import posixpath

from tests.fakes.git_store import ChangedFile, MissingObjectError, TreeEntry
from tests.fakes.github_call import Call
from tests.fakes.github_messages import Json, Reply, not_found
from tests.fakes.github_pages import encoded, page_of

_CONTENT_LIMIT = 1_048_576
_COMPARED_FILES = 300


def repository(call: Call) -> Reply:
    """The repository itself."""
    return Reply(200, call.shapes.repository(call.hub.repository))


def pull(call: Call) -> Reply:
    """One pull request."""
    return Reply(200, call.shapes.pull(call.pull))


def pulls(call: Call) -> Reply:
    """The open pull requests, the newest first."""
    newest = sorted(call.hub.pulls.values(), key=lambda one: one.number, reverse=True)
    shown = [one for one in newest if one.state == "open"]
    return page_of(shown, call.shapes.pull, call.query, call.url)


def files(call: Call) -> Reply:
    """The changed files, a page of them, with the patches that GitHub would give."""
    pull, hub = call.pull, call.hub
    files = hub.changed_files(pull)[: hub.file_limit]
    seen, uncounted = 0, set()
    for file in files:
        seen += file.patch_lines
        if seen > hub.total_patch_lines and file.patch:
            uncounted.add(file.path)

    def shape(file: ChangedFile) -> Json:
        late = file.path in uncounted
        withheld = late or file.path in pull.withhold or file.patch_lines > hub.patch_line_limit
        return call.shapes.file(file, pull.head_sha, withheld=withheld, uncounted=late)

    return page_of(files, shape, call.query, call.url)


def content(call: Call) -> Reply:
    """A file, folder, link or submodule at a ref."""
    store, path = call.hub.store, call.params["path"].strip("/")
    ref = call.query.get("ref") or call.hub.default_branch
    commit = store.commit(ref)
    if not path:
        return _folder(call, commit, commit, "", ref)
    entry = store.entry(commit, path)
    match entry.kind, entry.mode:
        case "tree", _:
            return _folder(call, commit, entry.sha, path, ref)
        case "commit", _:
            known: Json = {
                "type": "submodule",
                "submodule_git_url": f"{call.shapes.web}.git",
                "download_url": None,
            }
            return Reply(200, call.shapes.content(entry, ref, **known))
        case _, "120000":
            return _link(call, commit, entry, ref)
        case _:
            return Reply(200, _file(call, entry, entry, ref))


def _folder(call: Call, commit: str, tree: str, path: str, ref: str) -> Reply:
    listed = []
    for entry in call.hub.store.tree(tree):
        whole = entry._replace(path=posixpath.join(path, entry.path))
        kind = "dir" if entry.kind == "tree" else "symlink" if entry.mode == "120000" else "file"
        listed.append(call.shapes.content(whole, ref, type=kind))
    return Reply(200, listed)


def _link(call: Call, commit: str, entry: TreeEntry, ref: str) -> Reply:
    """GitHub follows a link to a file of the repository, and shows any other as a link."""
    target = call.hub.store.blob(entry.sha).decode("utf-8", "replace")
    place = posixpath.normpath(posixpath.join(posixpath.dirname(entry.path), target))
    try:
        aim = call.hub.store.entry(commit, place)
    except MissingObjectError:
        aim = None
    if aim is not None and aim.kind == "blob" and aim.mode != "120000":
        return Reply(200, _file(call, entry, aim, ref))
    return Reply(200, call.shapes.content(entry, ref, type="symlink", target=target))


def _file(call: Call, entry: TreeEntry, aim: TreeEntry, ref: str) -> Json:
    raw = call.hub.store.blob(aim.sha)
    large = len(raw) > _CONTENT_LIMIT
    body = {"encoding": "none", "content": ""} if large else {"encoding": "base64", "content": encoded(raw)}
    return call.shapes.content(entry._replace(sha=aim.sha, size=len(raw)), ref, type="file", **body)


def tree(call: Call) -> Reply:
    """A tree, with all below it where asked."""
    store, sha = call.hub.store, call.params["tree_sha"]
    entries = store.tree(sha, "recursive" in call.query)
    listed = []
    for entry in entries:
        known: Json = {"path": entry.path, "mode": entry.mode, "type": entry.kind, "sha": entry.sha}
        if entry.kind == "blob":
            known["size"] = entry.size
        if entry.kind != "commit":
            known["url"] = f"{call.shapes.repo}/git/{entry.kind}s/{entry.sha}"
        listed.append(known)
    url = f"{call.shapes.repo}/git/trees/{sha}"
    return Reply(200, {"sha": sha, "url": url, "tree": listed, "truncated": False})


def blob(call: Call) -> Reply:
    """A blob, in Base64."""
    sha = call.params["file_sha"]
    return Reply(200, call.shapes.blob(sha, call.hub.store.blob(sha)))


def commit(call: Call) -> Reply:
    """One commit."""
    return Reply(200, call.shapes.commit(call.hub.store.commit(call.params["ref"])))


def compare(call: Call) -> Reply:
    """Two commits compared, with the first 300 files."""
    store, shapes = call.hub.store, call.shapes
    left, dots, right = call.params["basehead"].partition("...")
    if not dots:
        raise not_found()
    base, head = store.commit(left), store.commit(right)
    ahead, behind = store.commits(base, head), store.commits(head, base)
    files = store.diff(base, head)[:_COMPARED_FILES]
    state = "diverged" if ahead and behind else "ahead" if ahead else "behind" if behind else "identical"
    url = f"{shapes.web}/compare/{left}...{right}"
    known: Json = {
        "url": call.url,
        "html_url": url,
        "permalink_url": url,
        "diff_url": f"{url}.diff",
        "patch_url": f"{url}.patch",
        "status": state,
        "ahead_by": len(ahead),
        "behind_by": len(behind),
        "total_commits": len(ahead),
        "base_commit": shapes.commit(base),
        "merge_base_commit": shapes.commit(store.merge_base(base, head)),
        "commits": [shapes.commit(sha) for sha in ahead[:250]],
        "files": [shapes.file(file, head, withheld=False, uncounted=False) for file in files],
    }
    return Reply(200, known)
