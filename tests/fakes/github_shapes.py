"""The code as GitHub's JSON: what matters is set here, the rest is filled up from the contract."""

from __future__ import annotations

from urllib.parse import quote

from tests.fakes.git_store import ChangedFile, TreeEntry
from tests.fakes.github_messages import Json
from tests.fakes.github_pages import encoded
from tests.fakes.github_said import SaidShapes
from tests.fakes.github_state import PullRequest


class Shapes(SaidShapes):
    """All of a request's shapes: those of the code, beside those of what was said about it."""

    def repository(self, full_name: str) -> Json:
        owner, _, name = full_name.partition("/")
        known = {
            "full_name": full_name,
            "name": name,
            "owner": self.user(owner),
            "default_branch": self.hub.default_branch,
            "url": f"{self.api}/repos/{full_name}",
            "fork": full_name != self.hub.repository,
            "private": True,
        }
        return self._complete("full-repository", known)

    def pull(self, pull: PullRequest) -> Json:
        files = self.hub.changed_files(pull)
        url = f"{self.repo}/pulls/{pull.number}"
        issue = f"{self.repo}/issues/{pull.number}"
        head = self._end(pull.head_repository, pull.head_branch, pull.head_sha)
        known: Json = {
            "number": pull.number,
            "id": 5_000 + pull.number,
            "title": pull.title,
            "body": pull.body,
            "state": pull.state,
            "draft": pull.draft,
            "user": self.user(pull.author),
            "labels": [
                self._complete("label", {"name": name, "id": n}) for n, name in enumerate(pull.labels)
            ],
            "base": self._end(self.hub.repository, pull.base_branch, pull.base_sha),
            "head": head,
            "url": url,
            "issue_url": issue,
            "html_url": f"{self.web}/pull/{pull.number}",
            "comments_url": f"{issue}/comments",
            "review_comments_url": f"{url}/comments",
            "review_comment_url": f"{self.repo}/pulls/comments{{/number}}",
            "commits_url": f"{url}/commits",
            "changed_files": len(files),
            "additions": sum(file.additions for file in files),
            "deletions": sum(file.deletions for file in files),
            "comments": sum(comment.number == pull.number for comment in self.hub.issue_comments),
            "review_comments": sum(comment.number == pull.number for comment in self.hub.comments),
            "merged": pull.merged,
            "author_association": self.hub.association(pull.author),
        }
        return self._complete("pull-request", known)

    def _end(self, repository: str | None, branch: str, sha: str) -> Json:
        owner = repository.partition("/")[0] if repository else "ghost"
        repo = self._complete("repository", self.repository(repository)) if repository else None
        return {
            "label": f"{owner}:{branch}",
            "ref": branch,
            "sha": sha,
            "user": self.user(owner),
            "repo": repo,
        }

    def file(self, changed: ChangedFile, head: str, *, withheld: bool, uncounted: bool) -> Json:
        """`withheld`: without its patch. `uncounted`: as 0/0/0 too, past GitHub's limit of lines in all."""
        added, deleted = (0, 0) if uncounted else (changed.additions, changed.deletions)
        name = quote(changed.path)
        known: Json = {
            "sha": changed.sha,
            "filename": changed.path,
            "status": changed.status,
            "additions": added,
            "deletions": deleted,
            "changes": added + deleted,
            "blob_url": f"{self.web}/blob/{head}/{name}",
            "raw_url": f"{self.web}/raw/{head}/{name}",
            "contents_url": f"{self.repo}/contents/{name}?ref={head}",
        }
        if changed.old_path is not None:
            known["previous_filename"] = changed.old_path
        if changed.patch and not withheld:
            known["patch"] = changed.patch
        return known

    def commit(self, sha: str) -> Json:
        return self._complete("commit", {"sha": sha, "url": f"{self.repo}/commits/{sha}"})

    def content(self, entry: TreeEntry, ref: str, **known: object) -> Json:
        """What files, folders, links and submodules have in common in the contents API."""
        name = quote(entry.path)
        url = f"{self.repo}/contents/{name}?ref={ref}"
        git = f"{self.repo}/git/{'trees' if entry.kind == 'tree' else 'blobs'}/{entry.sha}"
        html = f"{self.web}/{'tree' if entry.kind == 'tree' else 'blob'}/{ref}/{name}"
        return {
            "name": entry.path.rpartition("/")[2],
            "path": entry.path,
            "sha": entry.sha,
            "size": entry.size or 0,
            "url": url,
            "git_url": git,
            "html_url": html,
            "download_url": None if entry.kind != "blob" else f"{self.web}/raw/{ref}/{name}",
            "_links": {"self": url, "git": git, "html": html},
            **known,
        }

    def blob(self, sha: str, raw: bytes) -> Json:
        known = {"sha": sha, "size": len(raw), "content": encoded(raw), "encoding": "base64"}
        return {**known, "url": f"{self.repo}/git/blobs/{sha}", "node_id": f"B_{sha}"}
