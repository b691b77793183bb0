"""How fast GitHub may be written to: it takes some 80 requests that create content a minute."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from hunkwise.errors import ForgeError, ForgeKind

_WINDOW = 60.0
_BURST = 40
_MOST = 60
_APART = 1.0  # https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api


class Pace:
    """Lets 40 writes through at once, further ones a second apart, and no more than 60 in any 60 seconds."""

    def __init__(
        self, *, clock: Callable[[], float], sleep: Callable[[float], None], deadline: Callable[[], float]
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._deadline = deadline
        self._sent: deque[float] = deque(maxlen=_MOST)
        self._lock = threading.Lock()

    def admit(self, writes: int, request: str) -> None:
        """Returns when so many writes may be sent. Raises ForgeError (RATE_LIMIT) past the deadline."""
        if writes < 1:
            return
        with self._lock:
            now = self._clock()
            start = self._free_at(now, min(writes, _MOST))
            if start - now > max(0.0, self._deadline()):
                message = (
                    f"{request} was not sent: it would have to wait {start - now:.0f} seconds for its turn."
                )
                hint = "GitHub takes some 80 writes a minute: raise `deadline`, or lower `max-comments`."
                raise ForgeError(ForgeKind.RATE_LIMIT, message, hint)
            self._sent.extend([start] * min(writes, _MOST))
        if start > now:
            self._sleep(start - now)

    def _free_at(self, now: float, writes: int) -> float:
        """When that many may be sent; `_sent` is in order, and holds turns that others are waiting for too."""
        start = now
        recent = sum(sent > now - _WINDOW for sent in self._sent)
        if self._sent and recent + writes > _BURST:
            start = max(now, self._sent[-1] + _APART)
        above = len(self._sent) + writes - _MOST
        return max(start, self._sent[above - 1] + _WINDOW) if above > 0 else start
