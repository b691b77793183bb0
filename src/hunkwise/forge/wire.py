"""The wire to GitHub: PyGithub's requester over a connection of its own, which follows and repeats no write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final
from urllib.parse import urlsplit

import requests
import urllib3
from github import Auth, Github
from github.Requester import HTTPRequestsConnectionClass, HTTPSRequestsConnectionClass, Requester

from hunkwise.forge.errors import Answer, LateError, large, senseless, unreachable
from hunkwise.forge.watch import CutError, LargeError, Watch, read_whole, watched

TIMEOUT: Final = 15
"""Seconds until a connection stands, and between two pieces of an answer."""
_NO_RETRIES = (
    0  # PyGithub's own policy repeats POSTs, and sleeps up to an hour: forge.connection repeats reads
)


@dataclass(frozen=True, eq=False)
class Wire:
    """For one thread at a time: PyGithub's requesters keep the state of their last answer."""

    requester: Requester
    connection: HTTPRequestsConnectionClass | HTTPSRequestsConnectionClass
    watch: Watch

    def ask(
        self,
        verb: str,
        path: str,
        query: Mapping[str, Any],
        body: Mapping[str, Any] | None,
        name: str,
        *,
        seconds: float,
    ) -> Answer:
        """The answer, whatever its status, if it is all here in so many seconds.

        Raises ForgeError (UNAVAILABLE, AUTHENTICATION) without one, LateError where it took too long.
        """
        url = self.requester.graphql_url if path == "graphql" else path
        self.connection.timeout = min(TIMEOUT, max(1, int(seconds)))
        try:
            with self.watch.within(seconds):
                status, headers, text = self.requester.requestJson(
                    verb, url, dict(query), input=body, cnx=self.connection
                )
        except CutError as error:
            raise LateError(name, seconds) from error
        except LargeError as error:
            raise large(name) from error
        except (requests.RequestException, urllib3.exceptions.HTTPError, UnicodeError) as error:
            raise LateError(name, seconds) if self.watch.late else unreachable(error, name) from error
        except (ValueError, OverflowError) as error:  # PyGithub reads the headers of rate limits as numbers
            raise senseless(name, "a header of it cannot be read") from error
        if self.watch.late:  # an answer without a length looks whole where it was cut
            raise LateError(name, seconds)
        return Answer(status, headers, text)

    def close(self) -> None:
        self.connection.close()
        self.requester.close()
        self.watch.close()


def wired(token: str, api_url: str) -> Wire:
    """A new wire; it connects when it is first asked."""
    requester = Github(
        auth=Auth.Token(token),
        base_url=api_url,
        timeout=TIMEOUT,
        user_agent="hunkwise",
        retry=_NO_RETRIES,
        seconds_between_requests=None,
        seconds_between_writes=None,
    ).requester
    server = urlsplit(api_url)
    secure = server.scheme == "https"
    kind = HTTPSRequestsConnectionClass if secure else HTTPRequestsConnectionClass
    connection = kind(server.hostname or "", server.port, timeout=TIMEOUT, retry=_NO_RETRIES)
    connection.session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # none is kept, or sent
    watch = Watch()
    for scheme in ("http://", "https://"):
        connection.session.mount(scheme, watched(watch))
    connection.session.hooks["response"].append(_as_it_is)
    return Wire(requester, connection, watch)


def _as_it_is(answer: requests.Response, **_options: object) -> None:
    """Shows what PyGithub would act on by itself as what it would not, and reads the body within its bounds.

    It follows a 301 without its query, and a write too; it asks again, without end, where a read is answered by 202.
    """
    if answer.status_code == 301:
        answer.status_code = 308
    if answer.status_code == 202 and answer.request.method == "GET":
        answer.status_code = 503
    read_whole(answer)
