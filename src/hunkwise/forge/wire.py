"""The wire to GitHub: PyGithub's requester over a connection of its own, which follows and repeats no write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from github import Auth, Github
from github.Requester import HTTPRequestsConnectionClass, HTTPSRequestsConnectionClass, Requester
from urllib3 import Retry

from hunkwise.forge.errors import Answer, senseless, unreachable

_TIMEOUT = 15
# PyGithub's own policy repeats POSTs, and sleeps up to an hour: ours repeats reads, and never sleeps long.
_READS_AGAIN = Retry(
    total=3,
    backoff_factor=0.2,
    status_forcelist=(500, 502, 503, 504),
    allowed_methods=("GET", "HEAD"),
    respect_retry_after_header=False,
    raise_on_status=False,
)


@dataclass(frozen=True)
class Wire:
    """For one thread at a time: PyGithub's requesters keep the state of their last answer."""

    requester: Requester
    connection: HTTPRequestsConnectionClass | HTTPSRequestsConnectionClass

    def ask(
        self, verb: str, path: str, query: Mapping[str, Any], body: Mapping[str, Any] | None, name: str
    ) -> Answer:
        """The answer, whatever its status. Raises ForgeError (UNAVAILABLE, AUTHENTICATION) without one."""
        url = self.requester.graphql_url if path == "graphql" else path
        try:
            status, headers, text = self.requester.requestJson(
                verb, url, dict(query), input=body, cnx=self.connection
            )
        except (requests.RequestException, urllib3.exceptions.HTTPError, UnicodeError) as error:
            raise unreachable(error, name) from error
        except (ValueError, OverflowError) as error:  # PyGithub reads the headers of rate limits as numbers
            raise senseless(name, "a header of it cannot be read") from error
        return Answer(status, headers, text)

    def close(self) -> None:
        self.connection.close()
        self.requester.close()


def wired(token: str, api_url: str) -> Wire:
    """A new wire; it connects when it is first asked."""
    requester = Github(
        auth=Auth.Token(token),
        base_url=api_url,
        timeout=_TIMEOUT,
        user_agent="hunkwise",
        retry=_READS_AGAIN,
        seconds_between_requests=None,
        seconds_between_writes=None,
    ).requester
    server = urlsplit(api_url)
    secure = server.scheme == "https"
    kind = HTTPSRequestsConnectionClass if secure else HTTPRequestsConnectionClass
    connection = kind(server.hostname or "", server.port, timeout=_TIMEOUT, retry=_READS_AGAIN)
    connection.session.hooks["response"].append(_unfollowed)
    return Wire(requester, connection)


def _unfollowed(answer: requests.Response, **_options: object) -> None:
    """Shows a 301 as 308: PyGithub follows a 301 by itself, without its query, and a write too."""
    if answer.status_code == 301:
        answer.status_code = 308
