"""Shows the server that this process is there, so that pushes may hand it jobs while it waits."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

from redis.exceptions import RedisError, ResponseError

from onqueue.drivers.redis.wire import packed

if TYPE_CHECKING:
    from onqueue.drivers.redis.wire import Broker


class Beacon:
    """A subscription to a channel on which nothing is said: it ends with the process.

    Whoever pushes a job asks the server whether somebody listens. So a holder whose process was
    killed is handed nothing, though its lease lasts on.
    """

    def __init__(self, broker: Broker, channel: bytes) -> None:
        """Subscribe to nothing yet."""
        self._line = broker.line()
        self._channel = channel
        self._poll: select.poll | None = None
        self._is_allowed = True

    def light(self) -> None:
        """Subscribe, unless that is done; where it cannot be, the wait goes on without it."""
        if self.is_lit or not self._is_allowed:
            return
        self.close()
        try:
            self._line.ask(packed(b"SUBSCRIBE", self._channel))
            self._poll = select.poll()
            self._poll.register(self._line.fileno(), select.POLLIN)
        except ResponseError:  # an ACL without the channel
            self._is_allowed = False
            self._line.drop()
        except RedisError:
            self._line.drop()

    @property
    def is_lit(self) -> bool:
        """Whether the subscription stands, as far as is known here."""
        return self._poll is not None and not self._poll.poll(0)

    def close(self) -> None:
        """End the subscription."""
        self._poll = None
        self._line.drop()
