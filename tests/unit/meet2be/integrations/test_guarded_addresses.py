from ipaddress import ip_address, ip_network

import pytest

from meet2be.integrations.guarded_addresses import (
    SPECIAL_IPV4,
    SPECIAL_IPV6,
    AddressRules,
    parse_address,
    why_not_public,
)

HOSTILE = """
0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.254 127.0.0.1 127.255.255.254
168.63.129.16 169.254.0.1 169.254.169.254 169.254.170.2 172.16.0.1 172.31.255.255 192.0.0.1
192.0.0.9 192.0.0.170 192.0.0.192 192.0.2.1 192.88.99.1 192.168.0.1 192.168.255.255 198.18.0.1
198.19.255.254 198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
:: ::1 ::127.0.0.1 ::10.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::ffff:8.8.8.8
::ffff:0:127.0.0.1 ::ffff:0:8.8.8.8 64:ff9b::127.0.0.1 64:ff9b::8.8.8.8 64:ff9b:1::1
64:ff9b:1::7f00:1 100::1 100:0:0:1::1 2001::1 2001:0:7f00:1:: 2001:2::1 2001:10::1 2001:20::1
2001:30::1 2001:db8::1 2002:7f00:1:: 2002:a9fe:a9fe:: 2002:808:808:: 2620:4f:8000::1
2a00:1450::5efe:7f00:1 2a00:1450::200:5efe:a00:1 3fff::1 3fff:fff:ffff::1 5f00::1 fc00::1
fd00:ec2::254 fdff::1 fe80::1 fe80::5efe:7f00:1 fec0::1 feff::1 ff02::1 ff0e::1 4000::1 8000::1
""".split()  # noqa: SIM905 -- a list of that many strings is hard to read

PUBLIC = """
1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 52.95.110.1 100.63.255.255 100.128.0.0 126.255.255.255
128.0.0.0 168.63.129.15 168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0
191.255.255.255 192.0.1.0 192.0.3.0 192.88.98.255 192.88.100.0 192.167.255.255 192.169.0.0
198.17.255.255 198.20.0.0 203.0.112.255 203.0.114.0 223.255.255.255
2001:200:: 2001:db7:ffff::1 2001:db9:: 2003::1 2606:4700:4700::1111 2a00:1450:4001::200e
2a05:d018::1 3ffe:ffff:: 2620:4f:7fff:: 2620:4f:8001::
""".split()  # noqa: SIM905 -- a list of that many strings is hard to read


@pytest.mark.parametrize("text", HOSTILE)
def test_no_address_of_the_hostile_list_is_called(text: str) -> None:
    """W1, W4."""
    assert why_not_public(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_public_neighbours_of_special_blocks_are_called(text: str) -> None:
    assert why_not_public(ip_address(text)) is None


@pytest.mark.parametrize("text", [block for block, _ in (*SPECIAL_IPV4, *SPECIAL_IPV6)])
def test_each_block_begins_and_ends_where_it_says(text: str) -> None:
    network = ip_network(text)
    assert why_not_public(network[0])
    assert why_not_public(network[-1])


def test_an_address_with_a_zone_is_refused() -> None:
    assert why_not_public(ip_address("fe80::1%eth0")) == "link-local, with a zone"
    assert why_not_public(ip_address("2a00:1450::1%1")) == "link-local, with a zone"


def test_an_installation_allows_and_refuses_networks_of_its_own() -> None:
    rules = AddressRules(allowed=["10.1.0.0/16", "64:ff9b::/96"], refused=["52.95.0.0/16"])
    assert rules.why_not(ip_address("10.1.2.3")) is None
    assert rules.why_not(ip_address("10.2.0.1")) == "private use"
    assert rules.why_not(ip_address("52.95.110.1")) == "refused by the settings"
    assert rules.why_not(ip_address("64:ff9b::8.8.8.8")) is None
    assert rules.why_not(ip_address("64:ff9b::10.0.0.1")) == "private use"
    assert rules.why_not(ip_address("64:ff9b::169.254.169.254"))


@pytest.mark.parametrize("text", ["127.1", "0x7f000001", "2130706433", "0177.0.0.1", "1.2.3", ""])
def test_odd_forms_are_no_addresses(text: str) -> None:
    """W4."""
    assert parse_address(text) is None
