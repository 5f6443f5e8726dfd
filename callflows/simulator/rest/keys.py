"""Knows how the fake makes keys: a pair for an application, a certificate for its own address."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_PEM, _PLAIN = serialization.Encoding.PEM, serialization.NoEncryption()
# The certificate is thrown away with the process.
CERTIFICATE_DAYS = 7


def new_pair() -> tuple[str, str]:
    """Return a private and its public key as Vonage gives them: RSA of 2048 bits, PEM. Takes 50 to 300 ms."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, _PLAIN)
    public = key.public_key().public_bytes(_PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


def public_of(private: str) -> str:
    """Return the public half of a private key. Raises ValueError when it is no RSA key."""
    key = serialization.load_pem_private_key(private.encode(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError(f"expected an RSA key, got {type(key).__name__}")
    return key.public_key().public_bytes(_PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def new_certificate() -> tuple[bytes, bytes]:
    """Return a certificate for this machine's own address, which clients may trust as it is, and its key; both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Fake Vonage on this machine")])
    addresses = [ipaddress.ip_address(each) for each in ("127.0.0.1", "::1")]
    names = [x509.DNSName("localhost"), *(x509.IPAddress(each) for each in addresses)]
    now = datetime.now(UTC)
    usage = {"content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign"}
    unused = dict.fromkeys(usage | {"encipher_only", "decipher_only"}, False)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # A clock that is a little behind may read it too.
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=CERTIFICATE_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        # It is its own root; strict clients want to see that it may be one.
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=True, key_cert_sign=True, **unused), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, _PLAIN)
    return certificate.public_bytes(_PEM), pem
