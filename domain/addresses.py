"""Which addresses are called: public ones, and this machine's own where that is allowed.

The list says what is refused. `ipaddress.is_global` is no such list: it takes multicast, IPv4 inside of IPv6
(`::127.0.0.1`, NAT64, 6to4) and site-local addresses for global ones.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network

_DENIED = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # behind a provider's NAT
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, where clouds keep their metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        "::/3",  # loopback, IPv4 inside IPv6, NAT64, discard
        "2001::/23",  # Teredo, ORCHID, benchmarks
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
        "4000::/2",  # not given out
        "8000::/1",  # not given out, unique local, link-local, site-local, multicast
    )
)
_LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


def is_allowed(address: str, loopback: bool) -> bool:
    """Whether an address as a socket is given it may be dialled; `loopback`: this machine's own may."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    if getattr(ip, "scope_id", None) is not None:
        return False
    if loopback and any(ip in network for network in _LOOPBACK):
        return True
    return not any(ip in network for network in _DENIED)
