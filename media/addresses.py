"""Which addresses media may be fetched from: public ones, and those that the operator allows.

Pure but for the resolver. A name is resolved once; the connection goes to the addresses that were
checked, so a second answer of the resolver cannot change anything.
"""

import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052
ISATAP = (0x0000_5EFE, 0x0200_5EFE)  # RFC 5214: what precedes an IPv4 address in an interface id

# Not for the public, although ``ipaddress`` says so in no release or only in late ones.
SPECIAL: tuple[IPv4Network | IPv6Network, ...] = (
    IPv4Network("192.0.0.0/24"),  # protocol assignments
    IPv4Network("192.88.99.0/24"),  # relays of 6to4, withdrawn
    IPv6Network("64:ff9b:1::/48"),  # NAT64 of one site
    IPv6Network("3fff::/20"),  # documentation
    IPv6Network("5f00::/16"),  # segment routing
    IPv6Network("fec0::/10"),  # one site, withdrawn
)

BRACKETS = str.maketrans("", "", "[]")  # as IPv6 addresses are written in URLs

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class AddressRefused(Exception):
    """A host has an address that media may not be fetched from."""


@dataclass(frozen=True, slots=True)
class AddressRules:
    """What the operator allows beyond public addresses.

    Attributes:
        hosts: Names, lower case.
        networks: Addresses.
    """

    hosts: frozenset[str]
    networks: tuple[Network, ...]

    @classmethod
    def parse(cls, allowed: Sequence[str]) -> "AddressRules":
        """Read names, addresses and networks as an operator writes them."""
        networks = [network for text in allowed if (network := _network(text)) is not None]
        names = (text.lower().rstrip(".") for text in allowed if _network(text) is None)
        return cls(frozenset(names), tuple(networks))

    def resolve(self, host: str, port: int) -> tuple[Address, ...]:
        """The addresses of a host, every one of them allowed.

        Raises:
            AddressRefused: One of them is not.
            OSError: The host cannot be resolved.
        """
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = tuple(dict.fromkeys(ip_address(str(entry[4][0])) for entry in found))
        is_named = host.lower().rstrip(".") in self.hosts
        if not addresses or not (is_named or all(self.allows(a) for a in addresses)):
            raise AddressRefused
        return addresses

    def allows(self, address: Address) -> bool:
        """Whether an address is public or allowed, and so is every one that it stands for."""
        return all(self._allows_itself(one) for one in _reached(address))

    def _allows_itself(self, address: Address) -> bool:
        if any(address in network for network in self.networks):
            return True
        if any(address in network for network in SPECIAL):
            return False
        return address.is_global and not (address.is_multicast or address.is_reserved)


def _network(text: str) -> Network | None:
    try:
        return ip_network(text.translate(BRACKETS), strict=False)
    except ValueError:
        return None


def _reached(address: Address) -> Iterator[Address]:
    """Where packets to an address end up: itself, or the IPv4 addresses written into it."""
    if isinstance(address, IPv4Address):
        yield address
    elif address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    elif address in NAT64:
        yield IPv4Address(int(address) & 0xFFFFFFFF)
    else:
        yield address
        if address.sixtofour is not None:
            yield address.sixtofour
        if int(address) >> 32 & 0xFFFFFFFF in ISATAP:
            yield IPv4Address(int(address) & 0xFFFFFFFF)
        yield from address.teredo or ()
