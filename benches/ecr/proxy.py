"""An HTTPS proxy on loopback behind which there is only the ECR API.

proxy.py PORT HOST CERTIFICATE KEY BODY

Whoever wants CONNECT to HOST:443 speaks TLS with this program, and whatever it asks, BODY is the answer. Nobody gets
any farther: other names are refused, and nothing is ever looked up or connected to. One connection after the other.
"""

import socket
import ssl
import sys
from pathlib import Path


def head(stream):
    """The lines of one request, up to the empty one; none if there is no request."""
    lines = []
    while (line := stream.readline()) not in (b"", b"\r\n"):
        lines.append(line.decode("latin-1").strip())
    return lines


def serve(connection, target, context, answer):
    # Unbuffered: what follows the head is the TLS handshake's.
    asked = head(connection.makefile("rb", buffering=0))
    if not asked:
        return
    if asked[0].split()[:2] != ["CONNECT", target]:
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        return
    connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
    with context.wrap_socket(connection, server_side=True) as inside:
        stream = inside.makefile("rb")
        lengths = [line.split(":")[1] for line in head(stream) if line.lower().startswith("content-length:")]
        stream.read(int(lengths[0]))
        inside.sendall(answer)


def main(port, host, certificate, key, body):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    body = Path(body).read_bytes()
    kind = b"Content-Type: application/x-amz-json-1.1\r\nConnection: close\r\n"
    answer = b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s" % (kind, len(body), body)
    with socket.create_server(("127.0.0.1", int(port)), backlog=64) as listener:
        while True:
            connection, _ = listener.accept()
            connection.settimeout(10)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with connection:
                try:
                    serve(connection, f"{host}:443", context, answer)
                except (OSError, IndexError) as error:
                    # The client's loss, and it will say so.
                    print(error, file=sys.stderr)


main(*sys.argv[1:])
