"""TLS as a client: with the server's own certificate as the authority, and with another one.

    with_ssl.py HOST PORT NAME CERTIFICATE OTHER     (DER; GET /hello/tls)
"""

import asyncio
import json
import socket
import ssl
import sys

host, port, name, certificate, other = sys.argv[1:]
address = socket.getaddrinfo(host, int(port))[0][-1]
REQUEST = b"GET /hello/tls HTTP/1.0\r\nHost: web\r\n\r\n"


def context(file):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.verify_mode = ssl.CERT_REQUIRED
    with open(file, "rb") as data:
        made.load_verify_locations(cadata=data.read())
    return made


def blocking(file):
    plain = socket.socket()
    plain.connect(address)
    try:
        stream = context(file).wrap_socket(plain, server_hostname=name)
        stream.write(REQUEST)
        answer = stream.read()
        stream.close()
        return answer
    finally:
        plain.close()


async def by_asyncio(file):
    reader, writer = await asyncio.open_connection(host, int(port), ssl=context(file),
                                                   server_hostname=name)
    writer.write(REQUEST)
    await writer.drain()
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


assert b"hello tls" in blocking(certificate)
assert b"hello tls" in asyncio.run(by_asyncio(certificate))
try:
    blocking(other)
    refused = False
except (OSError, ValueError):
    refused = True
print(json.dumps({"works": refused}))
