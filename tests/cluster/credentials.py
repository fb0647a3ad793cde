"""Certificates for one control plane: an authority that lives as long as it does, and what it signs.

In: a folder that only its owner can read. Out: PEM files of mode 0600 there. All keys are P-256: made in
microseconds. Kubernetes takes a client's user from the common name, its groups from the organisations:
https://kubernetes.io/docs/reference/access-authn-authz/authentication/#x509-client-certificates
"""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate and its private key, as two PEM files."""

    certificate: Path
    key: Path


class Authority:
    """Signs identities into `folder`. Its own key is never written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificate = folder / "ca.crt"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test-cluster")])
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        built = (
            _certificate(self._name, self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
        )
        _write(self.certificate, built.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def identity(self, user: str, groups: Sequence[str] = (), hosts: Sequence[str] = ()) -> Identity:
        """One that may be a client as `user` of `groups`, and a server for `hosts` (names and addresses)."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([
            *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups),
            x509.NameAttribute(NameOID.COMMON_NAME, user),
        ])  # fmt: skip
        uses = [ExtendedKeyUsageOID.CLIENT_AUTH, *([ExtendedKeyUsageOID.SERVER_AUTH] if hosts else [])]
        built = _certificate(name, self._name, key.public_key()).add_extension(x509.ExtendedKeyUsage(uses), False)
        if hosts:
            built = built.add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), False)
        stem = user.replace(":", "-")
        made = Identity(self.folder / f"{stem}.crt", self.folder / f"{stem}.key")
        _write(made.certificate, built.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        _write(made.key, _private(key))
        return made

    def kubeconfig(self, name: str, server: str, who: Identity) -> Path:
        """A kubeconfig for `who` at `server`, with the certificates inside: it works from any folder."""
        path = self.folder / f"{name}.kubeconfig"
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "clusters": [
                {"name": "test", "cluster": {"server": server, "certificate-authority-data": _data(self.certificate)}}
            ],
            "users": [
                {
                    "name": "test",
                    "user": {
                        "client-certificate-data": _data(who.certificate),
                        "client-key-data": _data(who.key),
                    },
                }
            ],
        }
        _write(path, json.dumps(content, indent=2).encode())
        return path


def signing_key(path: Path) -> Path:
    """Write a key that signs service account tokens; Kubernetes reads the public half from the same file."""
    _write(path, _private(ec.generate_private_key(ec.SECP256R1())))
    return path


def _certificate(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    # A day back: clocks step. A day on: it is of no use to whoever finds it later.
    return x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number(), now - DAY, now + DAY)


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    # In SEC 1's form: of it Kubernetes reads the public half too, of PKCS #8 it does not.
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def _data(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _write(path: Path, content: bytes) -> None:
    """Mode 0600 from the first byte on."""
    path.touch(mode=0o600)
    path.write_bytes(content)
