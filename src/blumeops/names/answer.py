"""A question in DNS' wire format enters, the answer leaves, or None where none is due. Pure: dnspython does the bytes.

We are the authority of one zone and nothing else: no recursion, no transfers, no updates. What cannot be read, and what
is an answer itself, is not answered, so that two servers never talk to each other for ever. An answer over UDP is never
larger than what was asked for, and never larger than fits into one packet.
"""

from __future__ import annotations

from typing import Literal

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from blumeops.names.zone import LARGEST, Zone

Over = Literal["udp", "tcp"]

WITHOUT_EDNS = 512
"""Bytes of an answer over UDP to who does not say how much they take (RFC 1035, 4.2.1)."""
SECONDS = 60
"""How long an answer may be kept. What is taken out of the lab leads to a proxy that does not know it: no harm."""
SECONDS_OF_NO = 1
"""How long a No may be kept: a service that is pushed is found as soon as it is applied."""

_DO = 0x8000


def answer(zone: Zone | None, wire: bytes, over: Over) -> bytes | None:
    """`zone`: None while it is not known what is in it."""
    query = _read(wire)
    if query is None:
        return None
    response = dns.message.make_response(query, our_payload=LARGEST, pad=0)
    response.set_rcode(_answered(zone, query, response))
    if query.edns >= 0:
        response.ednsflags |= query.ednsflags & _DO  # RFC 3225: copied, though nothing is signed
    if over == "tcp":
        return response.to_wire(max_size=65535)
    taken = min(max(query.payload, WITHOUT_EDNS), LARGEST) if query.edns >= 0 else WITHOUT_EDNS
    return response.to_wire(max_size=taken, prefer_truncation=True)


def _read(wire: bytes) -> dns.message.Message | None:
    """The question, or None for what is none."""
    if len(wire) > LARGEST:
        return None
    try:
        message = dns.message.from_wire(wire)
    except (dns.exception.DNSException, ValueError, LookupError):
        return None  # whatever a stranger sends: it is parsed by the rules of a hundred record types
    return None if message.flags & dns.flags.QR else message


def _answered(zone: Zone | None, query: dns.message.Message, response: dns.message.Message) -> dns.rcode.Rcode:
    """Fill in the answer, and say which kind it is."""
    if query.edns > 0:
        return dns.rcode.BADVERS
    if query.opcode() != dns.opcode.QUERY:
        return dns.rcode.NOTIMP
    if len(query.question) != 1:
        return dns.rcode.FORMERR
    question = query.question[0]
    if question.rdclass != dns.rdataclass.IN or question.rdtype in (dns.rdatatype.AXFR, dns.rdatatype.IXFR):
        return dns.rcode.REFUSED
    if zone is None:
        return dns.rcode.SERVFAIL
    origin = dns.name.from_text(zone.domain)
    if not question.name.is_subdomain(origin):
        return dns.rcode.REFUSED
    response.flags |= dns.flags.AA
    before = question.name.relativize(origin).labels
    if before and not _is_known(zone, before):
        response.authority.append(_start_of_authority(zone, origin))
        return dns.rcode.NXDOMAIN
    found = _records(zone, origin, question, at_origin=not before)
    if found is None:
        response.authority.append(_start_of_authority(zone, origin))
    else:
        response.answer.append(found)
        if question.rdtype == dns.rdatatype.NS:
            response.additional.append(_addresses(zone, origin))
    return dns.rcode.NOERROR


def _is_known(zone: Zone, before: tuple[bytes, ...]) -> bool:
    return len(before) == 1 and before[0].lower().decode("ascii", "replace") in zone.labels


def _records(
    zone: Zone, origin: dns.name.Name, question: dns.rrset.RRset, *, at_origin: bool
) -> dns.rrset.RRset | None:
    """What is there of that type, under the name as it was written in the question; None: nothing."""
    if question.rdtype in (dns.rdatatype.A, dns.rdatatype.ANY):  # RFC 8482: of all, one is enough
        return _addresses(zone, question.name)
    if question.rdtype == dns.rdatatype.SOA and at_origin:
        return _start_of_authority(zone, origin, SECONDS)
    if question.rdtype == dns.rdatatype.NS and at_origin:
        return _one(question.name, SECONDS, dns.rdatatype.NS, origin.to_text())
    return None


def _addresses(zone: Zone, name: dns.name.Name) -> dns.rrset.RRset:
    found = dns.rrset.RRset(name, dns.rdataclass.IN, dns.rdatatype.A)
    for address in zone.addresses:
        found.add(dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.A, address), SECONDS)
    return found


def _start_of_authority(zone: Zone, origin: dns.name.Name, seconds: int = SECONDS_OF_NO) -> dns.rrset.RRset:
    """The zone is its own name server: a name of its own for that could be a service's. Nobody reads the mail."""
    here = origin.to_text()
    return _one(origin, seconds, dns.rdatatype.SOA, f"{here} nobody.{here} {zone.serial} 60 60 3600 {SECONDS_OF_NO}")


def _one(name: dns.name.Name, seconds: int, kind: dns.rdatatype.RdataType, text: str) -> dns.rrset.RRset:
    return dns.rrset.from_rdata(name, seconds, dns.rdata.from_text(dns.rdataclass.IN, kind, text))
