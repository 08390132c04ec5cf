import socket
from ipaddress import ip_address

import pytest

from media.addresses import AddressRefused, AddressRules

PUBLIC_ONLY = AddressRules.parse([])


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.9.10",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "::127.0.0.1",
        "2001:0:7f00:1::",
        "192.0.0.8",
        "192.88.99.1",
        "fec0::1",
        "3fff::1",
        "5f00::1",
        "64:ff9b:1::1",
        "2606:4700::5efe:7f00:1",
        "2606:4700::200:5efe:a00:1",
    ],
)
def test_addresses_that_are_not_public_are_refused(address: str) -> None:
    assert not PUBLIC_ONLY.allows(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "93.184.215.14",
        "2606:4700::1111",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "2606:4700::5efe:808:808",
    ],
)
def test_public_addresses_are_allowed(address: str) -> None:
    assert PUBLIC_ONLY.allows(ip_address(address))


def test_networks_addresses_and_hosts_can_be_allowed() -> None:
    rules = AddressRules.parse(
        ["192.168.0.0/16", "10.0.0.7", "::1", "Files.Example.", "[fd00::]/8"]
    )
    for address in ("192.168.3.4", "10.0.0.7", "::1", "::ffff:192.168.3.4", "fd00::1"):
        assert rules.allows(ip_address(address))
    for address in ("10.0.0.8", "127.0.0.1"):
        assert not rules.allows(ip_address(address))
    assert rules.hosts == {"files.example"}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1"])
def test_every_way_to_write_an_address_is_judged_by_what_it_means(host: str) -> None:
    with pytest.raises(AddressRefused):
        PUBLIC_ONLY.resolve(host, 80)


def test_one_private_address_among_public_ones_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    def two_answers(*args: object, **kwargs: object) -> list[tuple[object, ...]]:
        stream = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*stream, ("93.184.215.14", 80)), (*stream, ("10.0.0.1", 80))]

    monkeypatch.setattr(socket, "getaddrinfo", two_answers)
    with pytest.raises(AddressRefused):
        PUBLIC_ONLY.resolve("rebinding.example", 80)
    allowed = AddressRules.parse(["rebinding.example"])
    assert len(allowed.resolve("rebinding.example", 80)) == 2
