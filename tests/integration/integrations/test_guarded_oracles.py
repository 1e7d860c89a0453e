"""What guards of others refuse, ours refuses: over special blocks' edges and random addresses."""

import random
import socket
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
import ssrfguard
from requests_hardened.ip_filter import (  # type: ignore[import-untyped]
    InvalidIPAddress,
    get_ip_address,
)

from meet2be.integrations.guarded_addresses import (
    SPECIAL_IPV4,
    SPECIAL_IPV6,
    Address,
    why_not_public,
)

SEED = 20_261_122
BLOCKS = sorted(
    {str(ip_network(text)) for text, _ in (*SPECIAL_IPV4, *SPECIAL_IPV6)}
    | {str(block.network) for block in ssrfguard.DEFAULT_DENIED.blocks}
)


def hardened_refuses(address: Address) -> bool:
    try:
        get_ip_address(str(address), 443, allow_loopback=False)
    except InvalidIPAddress:
        return True
    return False


def made(version: int, number: int) -> Address:
    return IPv4Address(number) if version == 4 else IPv6Address(number)


def edges() -> Iterator[Address]:
    """The first and last address of each block of ours and of IANA's, and the ones beyond."""
    for text in BLOCKS:
        network = ip_network(text)
        most = 2**network.max_prefixlen - 1
        for end in (int(network.network_address), int(network.broadcast_address)):
            for number in (end - 1, end, end + 1):
                if 0 <= number <= most:
                    yield made(network.version, number)


def anywhere(chance: random.Random, count: int) -> Iterator[Address]:
    """Random addresses: anywhere, inside of special blocks, and carrying special IPv4."""
    networks = [ip_network(text) for text in BLOCKS]
    carriers = [0, 0xFFFF << 32, 0xFFFF << 48, 0x64FF9B << 96, 0x64FF9B0001 << 80, 0x5EFE << 32]
    for _ in range(count):
        way = chance.randrange(5)
        if way == 0:
            yield IPv4Address(chance.getrandbits(32))
        elif way == 1:
            yield IPv6Address((1 << 125) | chance.getrandbits(125))
        elif way == 2:
            yield IPv6Address(chance.getrandbits(128))
        elif way == 3:
            network = chance.choice(networks)
            span = network.max_prefixlen - network.prefixlen
            yield made(network.version, int(network.network_address) + chance.getrandbits(span))
        else:
            yield IPv6Address(chance.choice(carriers) | chance.getrandbits(32))


def weaker(addresses: Iterator[Address], *, ask_all: bool) -> list[str]:
    """Return the addresses that ours lets through and another guard does not."""
    found = []
    for address in addresses:
        if why_not_public(address) is not None:
            continue
        if ssrfguard.DEFAULT_DENIED.classify(address).blocked or (
            ask_all and hardened_refuses(address)
        ):
            found.append(str(address))
    return found


def test_at_the_edges_of_all_special_blocks_ours_is_never_weaker() -> None:
    """W4."""
    assert weaker(edges(), ask_all=True) == []


def test_over_random_addresses_ours_is_never_weaker() -> None:
    """W4."""
    assert weaker(anywhere(random.Random(SEED), 90_000), ask_all=False) == []
    assert weaker(anywhere(random.Random(SEED + 1), 10_000), ask_all=True) == []


@pytest.mark.chaos
def test_over_ten_million_random_addresses_ours_is_never_weaker() -> None:
    """W4."""
    assert weaker(anywhere(random.Random(SEED + 2), 10_000_000), ask_all=True) == []


def test_all_forms_the_resolver_takes_for_loopback_are_loopback() -> None:
    """W4: odd forms of 127.0.0.1 are names to us, and the address they lead to is checked."""
    for text in ("127.1", "0x7f000001", "2130706433", "017700000001", "127.0.1"):
        found = socket.getaddrinfo(text, 443, type=socket.SOCK_STREAM)
        assert {why_not_public(IPv4Address(entry[4][0])) for entry in found} == {"loopback"}
