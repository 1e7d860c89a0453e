"""How many requests a token may make: counted in the queue's Redis, let through when it is away."""

from __future__ import annotations

import logging
import math
import threading
from dataclasses import dataclass
from typing import Any, Final, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from onqueue.contracts import Clock

log = logging.getLogger(__name__)

PER_WINDOW: Final = 600
WINDOW: Final = 60
"""Seconds."""
_PATIENCE: Final = 0.25
_REST: Final = 5.0
"""Seconds in which a server that did not answer is not asked again."""
# KEYS[1] a token's counter. ARGV[1] milliseconds a window lasts. Returns the number of requests in
# the window, this one included, and the milliseconds until it ends. A window begins with the
# first request in it.
_COUNT: Final = """
local used = redis.call('INCR', KEYS[1])
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
  left = tonumber(ARGV[1])
end
return {used, left}
"""


@dataclass(frozen=True, slots=True)
class Rate:
    """How a token stands after a request: ``reset`` is seconds until all are free again."""

    limit: int
    used: int
    reset: int

    @property
    def is_over(self) -> bool:
        """Whether this request was one too many."""
        return self.used > self.limit

    def headers(self) -> dict[str, str]:
        """Return the fields of the IETF's draft on rate limits, and when to come again."""
        found = {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(max(0, self.limit - self.used)),
            "RateLimit-Reset": str(self.reset),
            "RateLimit-Policy": f"{self.limit};w={WINDOW}",
        }
        return {**found, "Retry-After": str(self.reset)} if self.is_over else found


class Rates:
    """Counts requests; opens no connection before the first one."""

    def __init__(self, url: str, clock: Clock, limit: int = PER_WINDOW) -> None:
        self.limit = limit
        self._clock = clock
        self._away_until = -math.inf
        self._lock = threading.Lock()
        self._client: redis.Redis = redis.Redis.from_url(
            url,
            socket_timeout=_PATIENCE,
            socket_connect_timeout=_PATIENCE,
            retry=Retry(NoBackoff(), 0),
        )
        self._count = self._client.register_script(_COUNT)

    def count(self, token_uid: str) -> Rate | None:
        """Count a request and return how the token stands; None when that cannot be said now.

        A limit keeps others from waiting; it is no reason to answer nobody when Redis is away.
        """
        if self._clock.monotonic() < self._away_until:
            return None
        try:
            reply = self._count(keys=[f"meet2be:api-rate:{token_uid}"], args=[WINDOW * 1000])
        except redis.RedisError as error:
            with self._lock:
                self._away_until = self._clock.monotonic() + _REST
            log.warning("API requests are not counted, Redis is away: %s", error)
            return None
        used, left = cast("tuple[Any, Any]", reply)
        return Rate(self.limit, int(used), max(1, math.ceil(int(left) / 1000)))
