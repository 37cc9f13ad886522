"""The one guard for addresses that users give: what may be connected to from here, and what not.

What is resolved is what is connected to: the caller pins the address it is given, so that a name
cannot point elsewhere a moment later.
"""

import ipaddress
import socket
from collections.abc import Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# Clouds answer for the machine's own credentials here; one of them within a private range.
METADATA = frozenset(map(ipaddress.ip_address, ("169.254.169.254", "fd00:ec2::254")))


class AddressError(ValueError):
    """This host may not be connected to, or cannot be found. The message says what to do."""


def allowed_address(host: str, port: int, allowed_private: Sequence[str] = ()) -> str:
    """The address to connect to for `host`. Raise AddressError when any address it has is refused.

    Addresses of private networks and of this machine itself are refused unless `allowed_private`
    lists the host, the address or a network (CIDR) around it; link-local, multicast, unspecified
    and metadata addresses always are.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise AddressError(f"There is no host called {host}. Check its spelling.") from None
    texts = list(dict.fromkeys(str(each[4][0]) for each in found))
    for text in texts:
        _refuse(host, _plain(text), allowed_private)
    return texts[0]


def _plain(text: str) -> Address:
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped or address.sixtofour or address
    return address


def _refuse(host: str, address: Address, allowed_private: Sequence[str]) -> None:
    is_never = address.is_link_local or address.is_multicast or address.is_unspecified
    if is_never or address in METADATA:
        raise AddressError(f"{host} is {address}, which no source may connect to. Use another.")
    if not address.is_global and not _is_listed(host, address, allowed_private):
        raise AddressError(
            f"{host} is {address}, an address of a private network or of this machine, and those "
            "are refused. Ask a site admin to add it to PORTOLAN_ALLOWED_PRIVATE_HOSTS."
        )


def _is_listed(host: str, address: Address, allowed_private: Sequence[str]) -> bool:
    for entry in allowed_private:
        if entry.lower() == host.lower():
            return True
        try:
            network = ipaddress.ip_network(entry, strict=False)
        except ValueError:
            continue
        if address in network:
            return True
    return False
