"""What is answered to a question of DNS: the pure half of the responder, and whatever hostile bytes it is given."""

from __future__ import annotations

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.update
import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from blumeops.names.answer import Over, answer
from blumeops.names.zone import LARGEST, Zone, with_labels

ZONE = Zone("ops.localhost", frozenset({"feed", "dj"}), 7)
SOA = "IN SOA ops.localhost. nobody.ops.localhost. 7 60 60 3600 1"


def asked(query: dns.message.Message, over: Over = "udp", zone: Zone | None = ZONE) -> dns.message.Message:
    """The answer, which there must be, read again."""
    wire = answer(zone, query.to_wire(), over)
    assert wire is not None
    found = dns.message.from_wire(wire)
    assert found.id == query.id
    assert found.flags & dns.flags.QR
    assert not found.flags & dns.flags.RA
    return found


@pytest.mark.parametrize(
    ("name", "kind", "code", "said"),
    [
        ("feed.ops.localhost", "A", "NOERROR", "feed.ops.localhost. 60 IN A 127.0.0.1"),
        ("ops.localhost", "A", "NOERROR", "ops.localhost. 60 IN A 127.0.0.1"),
        ("feed.ops.localhost", "ANY", "NOERROR", "feed.ops.localhost. 60 IN A 127.0.0.1"),
        ("ops.localhost", "NS", "NOERROR", "ops.localhost. 60 IN NS ops.localhost."),
        ("ops.localhost", "SOA", "NOERROR", f"ops.localhost. 60 {SOA}"),
        ("feed.ops.localhost", "AAAA", "NOERROR", ""),
        ("feed.ops.localhost", "HTTPS", "NOERROR", ""),
        ("feed.ops.localhost", "NS", "NOERROR", ""),
        ("nope.ops.localhost", "A", "NXDOMAIN", ""),
        ("a.feed.ops.localhost", "A", "NXDOMAIN", ""),
        (r"feed\.ops.localhost", "A", "REFUSED", ""),
        ("localhost", "A", "REFUSED", ""),
        ("example.org", "A", "REFUSED", ""),
        ("feed.xops.localhost", "A", "REFUSED", ""),
        (".", "NS", "REFUSED", ""),
        ("ops.localhost", "AXFR", "REFUSED", ""),
        ("ops.localhost", "IXFR", "REFUSED", ""),
    ],
)  # fmt: skip
def test_answers(name: str, kind: str, code: str, said: str) -> None:
    """Code and answer of every kind of question; where the zone says No, it says for how long."""
    found = asked(dns.message.make_query(name, kind))
    assert dns.rcode.to_text(found.rcode()) == code
    assert "\n".join(rrset.to_text() for rrset in found.answer) == said
    in_zone = code != "REFUSED"
    assert bool(found.flags & dns.flags.AA) == in_zone
    assert [rrset.to_text() for rrset in found.authority] == (
        [f"ops.localhost. 1 {SOA}"] if in_zone and not said else []
    )


def test_other_classes_are_refused() -> None:
    """`version.bind` and its kin tell nothing."""
    assert asked(dns.message.make_query("version.bind", "TXT", "CH")).rcode() == dns.rcode.REFUSED
    assert asked(dns.message.make_query("feed.ops.localhost", "A", "ANY")).rcode() == dns.rcode.REFUSED


def test_case_is_kept() -> None:
    """A resolver that mixes upper and lower case, to be harder to deceive, gets its spelling back."""
    wire = answer(ZONE, dns.message.make_query("fEEd.oPs.LOCALhost", "A").to_wire(), "udp")
    assert wire is not None
    assert wire.count(b"\x04fEEd\x03oPs\x09LOCALhost\x00") == 1
    assert [str(rrset.name) for rrset in dns.message.from_wire(wire).answer] == ["fEEd.oPs.LOCALhost."]


def test_edns_is_answered_where_it_is_spoken() -> None:
    """With our own size and the DO bit copied; a version to come is told that ours is 0; who does not speak it, hears
    nothing of it."""
    plain = asked(dns.message.make_query("feed.ops.localhost", "A", use_edns=False))
    assert plain.edns == -1
    spoken = asked(dns.message.make_query("feed.ops.localhost", "A", use_edns=0, want_dnssec=True, payload=4096))
    assert (spoken.edns, spoken.payload, bool(spoken.ednsflags & dns.flags.DO)) == (0, LARGEST, True)
    later = asked(dns.message.make_query("feed.ops.localhost", "A", use_edns=1))
    assert (later.edns, later.rcode(), later.answer) == (0, dns.rcode.BADVERS, [])


def test_what_is_too_large_for_udp_is_cut_and_marked() -> None:
    """Nothing is left of the records, the mark says so, and over TCP all of it comes."""
    crowded = Zone("ops.localhost", frozenset({"feed"}), 7, tuple(f"127.0.0.{number}" for number in range(1, 61)))
    plain, large = (
        dns.message.make_query("feed.ops.localhost", "A", use_edns=edns, payload=payload)
        for edns, payload in ((False, None), (0, 65535))
    )
    cut = answer(crowded, plain.to_wire(), "udp")
    assert cut is not None and len(cut) <= 512
    found = dns.message.from_wire(cut)
    assert found.flags & dns.flags.TC
    assert not found.answer
    fits = asked(large, "udp", crowded)
    assert not fits.flags & dns.flags.TC
    assert len(fits.answer[0]) == 60
    assert len(asked(plain, "tcp", crowded).answer[0]) == 60
    more = Zone("ops.localhost", frozenset({"feed"}), 7, tuple(f"127.0.1.{number}" for number in range(1, 101)))
    assert asked(large, "udp", more).flags & dns.flags.TC  # whatever a question claims to take


def test_other_requests_are_not_implemented() -> None:
    """Notifications, updates and what is not invented yet get one short word, and change nothing."""
    update = dns.update.UpdateMessage("ops.localhost")
    update.add("evil", 60, "A", "10.0.0.1")
    assert asked(update).rcode() == dns.rcode.NOTIMP
    for number in (dns.opcode.NOTIFY, dns.opcode.STATUS):
        query = dns.message.make_query("ops.localhost", "SOA")
        query.set_opcode(number)
        assert asked(query).rcode() == dns.rcode.NOTIMP


def test_questions_that_are_none() -> None:
    """None at all, or two at once."""
    none = dns.message.QueryMessage()
    assert asked(none).rcode() == dns.rcode.FORMERR
    two = dns.message.make_query("feed.ops.localhost", "A")
    two.question += dns.message.make_query("dj.ops.localhost", "A").question
    assert asked(two).rcode() == dns.rcode.FORMERR


def test_answers_are_not_answered() -> None:
    """Two servers that are made to talk to each other fall silent at once: also by what we say ourselves."""
    for name in ("feed.ops.localhost", "example.org"):
        wire = answer(ZONE, dns.message.make_query(name, "A").to_wire(), "udp")
        assert wire is not None
        assert answer(ZONE, wire, "udp") is None


def test_while_the_names_are_not_known_nothing_is_denied() -> None:
    """A failure that resolvers try again, instead of a No that they would keep."""
    assert asked(dns.message.make_query("feed.ops.localhost", "A"), zone=None).rcode() == dns.rcode.SERVFAIL


def test_the_serial_grows_with_the_names_alone() -> None:
    """Also when two changes come within a second, or the clock is put back."""
    first = with_labels(Zone("ops.localhost", frozenset(), 0), ["Feed"], 1000)
    assert (first.labels, first.serial) == (frozenset({"feed"}), 1000)
    assert with_labels(first, ["feed"], 2000) is first
    assert with_labels(first, ["dj"], 1000).serial == 1001
    assert with_labels(first, ["dj"], 10).serial == 1001


VALID = dns.message.make_query("feed.ops.localhost", "A", want_dnssec=True, payload=4096, id=1).to_wire()
HEADER = some.tuples(*[some.integers(0, 65535)] * 2, *[some.integers(0, 3)] * 4).map(
    lambda numbers: b"".join(number.to_bytes(2) for number in numbers)
)
DAMAGED = some.builds(
    lambda at, byte, cut: (VALID[:at] + bytes([byte]) + VALID[at + 1 :])[: len(VALID) - cut],
    some.integers(0, len(VALID) - 1), some.integers(0, 255), some.integers(0, 3),
)  # fmt: skip
RECORD = some.builds(
    lambda name, kind, rdclass, rdata: (
        name + kind.to_bytes(2) + rdclass.to_bytes(2) + bytes(4) + len(rdata).to_bytes(2) + rdata
    ),
    some.sampled_from([b"\x00", b"\xc0\x0c", b"\x01a\x00", b"\xc0\xff"]),
    some.one_of(some.sampled_from([1, 6, 41, 46, 47, 64, 65, 249, 250, 255]), some.integers(0, 65535)),
    some.sampled_from([1, 3, 254, 255, 4096]),
    some.binary(max_size=40),
)
RECORDS = some.builds(
    lambda flags, counts, records: (
        b"\x00\x01" + flags.to_bytes(2) + b"\x00\x01" + b"".join(bytes([0, count]) for count in counts)
        + b"\x04feed\x03ops\x09localhost\x00\x00\x01\x00\x01" + b"".join(records)
    ),
    some.integers(0, 0x7FFF), some.tuples(*[some.integers(0, 2)] * 3), some.lists(RECORD, max_size=4),
)  # fmt: skip


@given(
    some.one_of(
        some.binary(max_size=LARGEST + 100),
        some.tuples(HEADER, some.binary(max_size=80)).map(b"".join),
        DAMAGED,
        RECORDS,
    ),
    some.sampled_from(["udp", "tcp"]),
)
@example(b"", "udp")
@example(VALID[:2] + b"\x80" + VALID[3:], "udp")
@example(b"\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00" + b"\xc0\x0c" + b"\x00\x01\x00\x01", "udp")
@example(b"\x00\x01\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff" + b"\x00\x00\x01\x00\x01" * 200, "tcp")
def test_whatever_comes_is_borne(wire: bytes, over: Over) -> None:
    """No bytes raise anything; what is answered is an answer to this question, and short: we amplify nothing."""
    found = answer(ZONE, wire, over)
    if found is not None:
        assert found[:2] == wire[:2]
        assert found[2] & 0x80
        assert not wire[2] & 0x80
        assert len(found) <= 512
