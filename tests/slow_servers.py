"""Raw socket servers on this machine: for answers that come byte by byte, and for proxies."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PAUSE_S = 0.01


@contextmanager
def serving(answer: Callable[[socket.socket, bytes], None], certificate: Path | None = None) -> Iterator[int]:
    """Passes each connection and the head of its request to ``answer``; gives the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)

    def wrapped(connection: socket.socket) -> socket.socket:
        return context.wrap_socket(connection, server_side=True) if context else connection

    def serve(connection: socket.socket) -> None:
        with suppress(OSError), connection, wrapped(connection) as plain:
            head = b""
            while b"\r\n\r\n" not in head:
                if not (received := plain.recv(65536)):
                    return
                head += received
            answer(plain, head)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


class ByteByByte:
    """Sends ``fast`` at once, ``slow`` byte by byte, then ``end``: a complete answer for a client that waits.

    Attributes:
        waited_for: how many clients waited to the end.
    """

    def __init__(self, fast: bytes, slow: bytes, end: bytes = b"") -> None:
        self._fast, self._slow, self._end = fast, slow, end
        self.waited_for = 0

    def __call__(self, connection: socket.socket, head: bytes) -> None:
        connection.sendall(self._fast)
        for byte in self._slow:
            connection.sendall(bytes([byte]))
            time.sleep(PAUSE_S)
        self.waited_for += 1
        connection.sendall(self._end)


def make_certificate(folder: Path) -> Path:
    """A key and a self-signed certificate for 127.0.0.1, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, *private)
    file.write_bytes(pem + certificate.public_bytes(serialization.Encoding.PEM))
    return file
