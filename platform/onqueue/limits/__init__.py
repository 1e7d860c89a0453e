"""Rates, slots and locks: named limiters, and limits that a job makes up on the spot."""

from onqueue.limits.gate import take_each
from onqueue.limits.limit import Limit
from onqueue.limits.limiters import RateLimiter
from onqueue.limits.lock import Lock, lock
from onqueue.limits.throttle import Funnel, Throttle, funnel, throttle

__all__ = [
    "Funnel",
    "Limit",
    "Lock",
    "RateLimiter",
    "Throttle",
    "funnel",
    "lock",
    "take_each",
    "throttle",
]
