"""Which sources an operator permits: hosts of RTSP, a directory of files, cameras of this machine.

Looks at devices and files; asks the resolver only where networks are allowed and a name is given,
and then the connection goes to the address that was checked.
"""

import os
import re
import socket
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path

from contracts.errors import SourceNotPermitted, SourceUnreachable
from contracts.web import WebClient
from live.sources.source import Source

DEVICE = re.compile(r"/dev/(video\d+|v4l/by-(id|path)/[^/]+)")

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class HostRules:
    """Which hosts may be cameras.

    Attributes:
        allows_all: Any host.
        names: Lower case.
        networks: Addresses.
    """

    allows_all: bool
    names: frozenset[str]
    networks: tuple[Network, ...]

    @classmethod
    def parse(cls, allowed: Sequence[str]) -> "HostRules":
        """Read ``*``, names, addresses and networks as an operator writes them."""
        networks = [network for text in allowed if (network := _network(text)) is not None]
        names = (text.lower().rstrip(".") for text in allowed if _network(text) is None)
        return cls("*" in allowed, frozenset(names) - {"*"}, tuple(networks))

    def check(self, host: str) -> None:
        """Refuse a host that can be refused without looking it up.

        Raises:
            SourceNotPermitted: It is not in the list.
        """
        if self._is_named(host):
            return
        address = _address(host)
        if not self._allows(address) if address else not self.networks:
            raise SourceNotPermitted("the host is not in VLM_STREAM_ALLOW")

    def reach(self, host: str, port: int) -> str:
        """What to connect to: the host itself, or an address of it that was checked.

        Raises:
            SourceNotPermitted: An address of the host is not in the list.
            SourceUnreachable: The host has no address.
        """
        if self._is_named(host):
            return host
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError:
            raise SourceUnreachable("the host's name cannot be resolved") from None
        addresses = [ip_address(str(entry[4][0])) for entry in found]
        if not addresses or not all(self._allows(one) for one in addresses):
            raise SourceNotPermitted("an address of the host is not in VLM_STREAM_ALLOW")
        return str(addresses[0])

    def _is_named(self, host: str) -> bool:
        return self.allows_all or host.lower() in self.names

    def _allows(self, address: Address) -> bool:
        return any(address in network for network in self.networks)


def _network(text: str) -> Network | None:
    try:
        return ip_network(text.strip("[]"), strict=False)
    except ValueError:
        return None


def _address(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class SourceRules:
    """Which sources the operator permits.

    Attributes:
        hosts: RTSP cameras.
        root: Directory whose files may be played; ``None`` is none.
        web: Knows which http(s) URLs may be read, and reads them.
    """

    hosts: HostRules
    root: Path | None
    web: WebClient

    def check(self, source: Source) -> None:
        """Refuse what can be refused without a connection.

        Raises:
            SourceNotPermitted: The message says what is expected.
        """
        if source.kind == "rtsp":
            self.hosts.check(source.host)
        elif source.kind == "http":
            self.web.check(source.url)
        elif source.kind == "v4l2":
            check_device(source.path)
        else:
            self.file_of(source)

    def file_of(self, source: Source) -> Path:
        """The file of a source, its links resolved.

        Raises:
            SourceNotPermitted: It is not inside the root, or there is no root.
        """
        if self.root is None:
            raise SourceNotPermitted("files are no sources here: VLM_STREAM_ROOT is not set")
        path = Path(source.path).resolve()
        if not path.is_relative_to(self.root.resolve()):
            raise SourceNotPermitted("the file is not inside VLM_STREAM_ROOT")
        return path


def check_device(path: str) -> None:
    """Refuse what is not a camera of this machine; one that is unplugged may come back.

    Raises:
        SourceNotPermitted: The name is not that of a camera, or something else lies there.
    """
    message = "expected a camera, v4l2:///dev/video0 or v4l2:///dev/v4l/by-id/..."
    if not DEVICE.fullmatch(path):
        raise SourceNotPermitted(message)
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return
    if not stat.S_ISCHR(mode):
        raise SourceNotPermitted(message)
