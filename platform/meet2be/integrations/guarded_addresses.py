"""Which addresses of the network belong to the public, and which must never be called.

An address is public when it lies in what IANA has given out for global unicast and in none of the
special blocks below (IANA's special-purpose registries as of 2026, and a few that clouds use).
IPv6 addresses that carry an IPv4 address are refused, whatever they carry: they are ways around
this table. Where hosts have IPv6 only, the settings may allow NAT64 (RFC 6052); then what it
carries is checked.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

SPECIAL_IPV4: Final = (
    ("0.0.0.0/8", "this network"),
    ("10.0.0.0/8", "private use"),
    ("100.64.0.0/10", "shared by providers (CGNAT)"),
    ("127.0.0.0/8", "loopback"),
    ("168.63.129.16/32", "a cloud's own host (Azure)"),
    ("169.254.0.0/16", "link-local, metadata of clouds"),
    ("172.16.0.0/12", "private use"),
    ("192.0.0.0/24", "protocol assignments"),
    ("192.0.2.0/24", "documentation"),
    ("192.31.196.0/24", "AS112"),
    ("192.52.193.0/24", "AMT"),
    ("192.88.99.0/24", "6to4 relays"),
    ("192.168.0.0/16", "private use"),
    ("192.175.48.0/24", "AS112"),
    ("198.18.0.0/15", "benchmarking"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved and broadcast"),
)
# Everything outside of 2000::/3 is refused anyway; these lie inside.
SPECIAL_IPV6: Final = (
    ("::/3", "not given out: loopback, mapped and translated IPv4"),
    ("2001::/23", "protocol assignments: Teredo, ORCHID, benchmarking"),
    ("2001:db8::/32", "documentation"),
    ("2002::/16", "6to4"),
    ("2620:4f:8000::/48", "AS112"),
    ("3fff::/20", "documentation"),
    ("4000::/2", "not given out: SRv6 SIDs"),
    ("8000::/1", "not given out: unique local, link-local, site-local, multicast"),
)
NAT64: Final = IPv6Network("64:ff9b::/96")
_ISATAP: Final = frozenset((0x0000_5EFE, 0x0200_5EFE))
"""What stands before the IPv4 address in an ISATAP interface's half (RFC 5214)."""


class _Table:
    """Blocks of one version that do not overlap, found by bisection."""

    def __init__(self, blocks: Sequence[tuple[str, str]]) -> None:
        rows = sorted(
            (int(network.network_address), int(network.broadcast_address), words)
            for network, words in ((ip_network(text), words) for text, words in blocks)
        )
        self._starts = [start for start, _, _ in rows]
        self._rows = rows

    def find(self, number: int) -> str | None:
        """Return what the block of an address is for; None outside of all blocks."""
        at = bisect_right(self._starts, number) - 1
        if at < 0 or number > self._rows[at][1]:
            return None
        return self._rows[at][2]


_IPV4, _IPV6 = _Table(SPECIAL_IPV4), _Table(SPECIAL_IPV6)


def why_not_public(address: Address) -> str | None:
    """Return why an address must not be called, in a few words; None for a public one."""
    number = int(address)
    if isinstance(address, IPv4Address):
        return _IPV4.find(number)
    if address.scope_id is not None:
        return "link-local, with a zone"
    if (number >> 32) & 0xFFFF_FFFF in _ISATAP:
        return "ISATAP, which carries an IPv4 address"
    return _IPV6.find(number)


class AddressRules:
    """The table together with what an installation allows or refuses beyond it."""

    def __init__(self, allowed: Iterable[str] = (), refused: Iterable[str] = ()) -> None:
        """Take networks such as ``10.0.0.0/8``; raises ``ValueError`` for what is none."""
        self._allowed = tuple(ip_network(text) for text in allowed)
        self._refused = tuple(ip_network(text) for text in refused)

    def why_not(self, address: Address) -> str | None:
        """Return why an address must not be called; None for one that may be."""
        if any(address in network for network in self._refused):
            return "refused by the settings"
        if any(address in network for network in self._allowed):
            if isinstance(address, IPv6Address) and address in NAT64:
                return why_not_public(IPv4Address(int(address) & 0xFFFF_FFFF))
            return None
        return why_not_public(address)


@lru_cache(maxsize=4096)
def parse_address(text: str) -> Address | None:
    """Return the address a host is written as, None for a name (and for odd forms, ``127.1``)."""
    try:
        return ip_address(text)
    except ValueError:
        return None
