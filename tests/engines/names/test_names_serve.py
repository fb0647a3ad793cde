"""The responder's two doors with real programs: dig, a resolver that is pointed at them, and whoever wants to harm."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import time
from contextlib import ExitStack, suppress

import dns.exception
import dns.message
import dns.query
import dns.rcode
import pytest

from blumeops.base.errors import EngineError
from blumeops.names.serve import Limits, doors
from blumeops.names.zone import Zone
from tests.engines.names.live import ZONE, dig, live, needs_dig, needs_dnsmasq, status
from tests.eventually import eventually
from tests.ports import free_port

FEED = dns.message.make_query("feed.ops.localhost", "A").to_wire()


@needs_dig
@pytest.mark.parametrize("over", ["+notcp", "+tcp"])
def test_dig_gets_names(over: str) -> None:
    """What is there, what is not, and what is none of our business."""
    with live() as port:
        assert dig(port, over, "+short", "feed.ops.localhost") == "127.0.0.1\n"
        there = dig(port, over, "fEEd.ops.localhost", "AAAA")
        assert (status(there), "ANSWER: 0" in there) == ("NOERROR", True)
        nowhere = dig(port, over, "nope.ops.localhost")
        assert status(nowhere) == "NXDOMAIN"
        assert "SOA\tops.localhost. nobody.ops.localhost. 7 " in nowhere
        assert "flags: qr aa rd;" in nowhere  # no recursion
        assert status(dig(port, over, "example.org")) == "REFUSED"
        assert dig(port, over, "+short", "ops.localhost", "NS") == "ops.localhost.\n"
        assert "Transfer failed" in dig(port, "+tcp", "ops.localhost", "AXFR")


@needs_dig
def test_dig_comes_again_over_tcp() -> None:
    """An answer that is too large for UDP says so, and dig gets all of it."""
    crowded = Zone("ops.localhost", frozenset({"feed"}), 7, tuple(f"127.0.1.{number}" for number in range(1, 101)))
    with live(crowded) as port:
        printed = dig(port, "feed.ops.localhost")
        assert "Truncated, retrying in TCP mode" in printed
        assert "ANSWER: 100" in printed


@needs_dig
@needs_dnsmasq
def test_a_resolver_that_is_pointed_at_it() -> None:
    """dnsmasq, set up as the documentation says: the lab's names work, by its own port, also when names change."""
    names = [ZONE]
    with live(reply=lambda wire, over: _answer(names[-1], wire, over)) as port:
        own = free_port()
        resolver = subprocess.Popen(
            [
                "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--pid-file=",
                "--user=", f"--port={own}", "--listen-address=127.0.0.1", "--bind-interfaces",
                f"--server=/ops.localhost/127.0.0.1#{port}",
            ]
        )  # fmt: skip
        try:
            eventually(lambda: dig(own, "+short", "feed.ops.localhost") == "127.0.0.1\n")
            assert status(dig(own, "new.ops.localhost")) == "NXDOMAIN"
            names.append(Zone("ops.localhost", frozenset({"new"}), 8))
            eventually(lambda: status(dig(own, "new.ops.localhost")) == "NOERROR")  # a No is kept for a second
        finally:
            resolver.terminate()
            resolver.wait(10)


def _answer(zone: Zone, wire: bytes, over: str) -> bytes | None:
    from blumeops.names.answer import answer

    return answer(zone, wire, "udp" if over == "udp" else "tcp")


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_port_that_is_taken_names_its_holder(kind: int) -> None:
    """Whichever of the two is taken; then the other door is not open either."""
    port = free_port()
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", port))
        if kind == socket.SOCK_STREAM:
            other.listen()
        said = rf"BLU770 port {port}: is taken by \S+.* \(pid {os.getpid()}\); names are not answered by DNS; .*`here:"
        with pytest.raises(EngineError, match=said), doors(port):
            pass
        free = socket.SOCK_DGRAM if kind == socket.SOCK_STREAM else socket.SOCK_STREAM
        with socket.socket(socket.AF_INET, free) as probe:
            probe.bind(("127.0.0.1", port))


def test_a_conversation_has_many_questions() -> None:
    """One after another, and several sent at once; each has its answer in its turn."""
    with live() as port, socket.create_connection(("127.0.0.1", port), 5) as line:
        queries = [dns.message.make_query(f"{name}.ops.localhost", "A") for name in ("feed", "nope", "dj")]
        line.sendall(b"".join(query.to_wire(prepend_length=True) for query in queries))
        answers = [dns.query.receive_tcp(line)[0] for _ in queries]
        assert [found.id for found in answers] == [query.id for query in queries]
        assert [found.rcode() for found in answers] == [dns.rcode.NOERROR, dns.rcode.NXDOMAIN, dns.rcode.NOERROR]


def test_who_is_slow_is_let_go() -> None:
    """Silence, a letter at a time, or a reader who never reads: the time for one question is all there is."""
    with live(limits=Limits(seconds=0.3)) as port:
        with socket.create_connection(("127.0.0.1", port), 5) as silent:
            assert silent.recv(1) == b""
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", port), 5) as slow, pytest.raises(OSError):  # noqa: PT011 - reset or broken
            for letter in b"\x00\xff" + bytes(200):
                slow.sendall(bytes([letter]))
                time.sleep(0.05)
        assert time.monotonic() - began < 5
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            deaf.settimeout(5)
            deaf.connect(("127.0.0.1", port))
            with pytest.raises(OSError):  # noqa: PT011 - a reset, a broken pipe or the time limit, as it comes
                while True:
                    deaf.sendall((len(FEED).to_bytes(2) + FEED) * 1000)
        assert _asks(port)


@pytest.mark.parametrize("sent", [b"\x00\x00", b"\xff\xff" + bytes(100), b"\x00\x03abc", b"GET / HTTP/1.1\r\n\r\n"])
def test_nonsense_ends_the_conversation(sent: bytes) -> None:
    """At once, without an answer, and without the time that a question has."""
    with live() as port, socket.create_connection(("127.0.0.1", port), 5) as line:
        line.sendall(sent)
        with suppress(ConnectionResetError):  # as good
            assert line.recv(10) == b""
        assert _asks(port)


def test_more_conversations_than_there_may_be() -> None:
    """The next is turned away, those that stand go on, and UDP is not touched."""
    with live(limits=Limits(connections=3)) as port, ExitStack() as lines:
        first, *_ = [lines.enter_context(socket.create_connection(("127.0.0.1", port), 5)) for _ in range(3)]
        first.sendall(len(FEED).to_bytes(2) + FEED)
        dns.query.receive_tcp(first)
        with socket.create_connection(("127.0.0.1", port), 5) as more:
            assert more.recv(1) == b""
        assert _asks(port)
        first.close()
        eventually(lambda: dns.query.tcp(dns.message.from_wire(FEED), "127.0.0.1", 5, port))


def test_a_flood_of_noise_leaves_it_as_it_was() -> None:
    """Thousands of hostile datagrams: none is answered with more than 512 bytes, and questions are answered after."""
    chance = random.Random(7)
    with live() as port, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as noise:
        noise.connect(("127.0.0.1", port))
        noise.setblocking(False)
        for _ in range(3000):
            wire = bytearray(FEED if chance.random() < 0.5 else chance.randbytes(chance.randrange(100)))
            for _ in range(chance.randrange(4)):
                if wire:
                    wire[chance.randrange(len(wire))] = chance.randrange(256)
            noise.send(wire)
        eventually(lambda: _asks(port))
        while True:
            try:
                assert len(noise.recv(65535)) <= 512
            except BlockingIOError:
                break


def test_a_bug_in_an_answer_costs_this_answer_alone() -> None:
    """What the answering function raises ends neither of the doors."""
    failing = [True]

    def reply(wire: bytes, over: str) -> bytes | None:
        if failing.pop() if failing else False:
            raise RuntimeError("a bug")
        return _answer(ZONE, wire, over)

    with live(reply=reply) as port:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
            door.sendto(FEED, ("127.0.0.1", port))
        assert _asks(port)
        failing.append(True)
        with socket.create_connection(("127.0.0.1", port), 5) as line:
            line.sendall(len(FEED).to_bytes(2) + FEED)
            assert line.recv(1) == b""
        assert _asks(port)


def _asks(port: int) -> bool:
    """Whether a question over UDP is answered; one that a full queue swallowed is not, and may be asked again."""
    query = dns.message.from_wire(FEED)
    with suppress(dns.exception.Timeout):
        return dns.query.udp(query, "127.0.0.1", 2, port).rcode() == dns.rcode.NOERROR
    return False
