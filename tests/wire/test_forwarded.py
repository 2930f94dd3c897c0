"""Who sends a request that comes through proxies."""

import pytest

from hub.wire.forwarded import Proxies, read_network

PROXIES = Proxies(
    [read_network(one) for one in ("127.0.0.1", "10.0.0.0/8", "::1", "2001:db8::/64")]
)


def sender(peer, x_forwarded_for=None, forwarded=None, proxies=PROXIES):
    environ = {"REMOTE_ADDR": peer}
    if x_forwarded_for is not None:
        environ["HTTP_X_FORWARDED_FOR"] = x_forwarded_for
    if forwarded is not None:
        environ["HTTP_FORWARDED"] = forwarded
    return proxies.sender_of(environ)


@pytest.mark.parametrize("peer", ["203.0.113.9", "", "testclient"])
def test_a_stranger_is_not_believed(peer):
    assert sender(peer, "198.51.100.7", "for=198.51.100.7") == peer


def test_nobody_is_trusted_by_default():
    assert sender("127.0.0.1", "198.51.100.7", proxies=Proxies()) == "127.0.0.1"


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ("198.51.100.7", "198.51.100.7"),
        # What the sender made up stands before what the proxies added.
        ("8.8.8.8, 198.51.100.7", "198.51.100.7"),
        ("8.8.8.8, 198.51.100.7, 10.1.2.3", "198.51.100.7"),
        ("198.51.100.7:4711", "198.51.100.7"),
        ("2001:db8:1::7", "2001:db8:1::7"),
        ("[2001:db8:1::7]:4711", "2001:db8:1::7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("10.9.9.9,10.1.2.3", "10.9.9.9"),
        ("8.8.8.8, unknown", "127.0.0.1"),
        ("8.8.8.8, nonsense, 10.1.2.3", "10.1.2.3"),
        ("8.8.8.8,", "127.0.0.1"),
        ("", "127.0.0.1"),
        ("8.8.8.8, " * 5000 + "198.51.100.7", "198.51.100.7"),
    ],
)
def test_x_forwarded_for(told, found):
    assert sender("127.0.0.1", told) == found


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ("for=198.51.100.7", "198.51.100.7"),
        ("For=198.51.100.7;proto=https;by=10.1.2.3", "198.51.100.7"),
        ("proto=https; for=198.51.100.7", "198.51.100.7"),
        ('for="198.51.100.7:4711"', "198.51.100.7"),
        ('for="[2001:db8:1::7]:4711";host="a,b"', "2001:db8:1::7"),
        ('for=8.8.8.8, for="[2001:db8:1::7]", for=10.1.2.3', "2001:db8:1::7"),
        ("for=8.8.8.8, for=unknown", "127.0.0.1"),
        ("for=8.8.8.8, for=_hidden, for=10.1.2.3", "10.1.2.3"),
        ("for=8.8.8.8, proto=https", "127.0.0.1"),
        ('for=8.8.8.8, for="198.51.100.7', "127.0.0.1"),
        ('host="x;for=8.8.8.8"', "127.0.0.1"),
        ("", "127.0.0.1"),
    ],
)
def test_forwarded(told, found):
    assert sender("127.0.0.1", forwarded=told) == found


def test_both():
    assert sender("10.1.2.3", "198.51.100.7", "for=198.51.100.7") == "198.51.100.7"
    # The sender's own header went through a proxy that writes the other one.
    assert sender("10.1.2.3", "198.51.100.7", "for=8.8.8.8") == "10.1.2.3"


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0", "hub.example", "", "1.2.3.4/33"])
def test_what_is_no_network(text):
    with pytest.raises(ValueError, match="."):
        read_network(text)
