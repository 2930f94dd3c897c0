"""Whether a host is the machine itself (RFC 1122, 3.2.1.3; RFC 4291, 2.5.3; RFC 6761, 6.3)."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether an address is of the loopback, or a name can mean nothing else."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:  # a name
        name = host.lower()
        return name == "localhost" or name.endswith(".localhost")
