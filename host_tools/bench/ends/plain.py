"""The platform's own blocking sockets, measured as node.py measures a node, on either runtime.

    RUNTIME plain.py serve IP       echoes on 7, pushes on 8, swallows on 9; TCP, and UDP but on 9
    RUNTIME plain.py ask            answers requests on standard input
"""

import json
import select
import socket
import sys
import time

ECHO, PUSH, BULK = 7, 8, 9
SIZE = 64
PAUSE_MS = 3
CHUNK = 8192
_TCP, _NODELAY = 6, 1
_BURST = 100            # pushes of UDP for one request


def us_since(began_ns):
    return (time.time_ns() - began_ns) // 1000


def stamp():
    return time.time_ns().to_bytes(8, "big") + bytes(SIZE - 8)


def age_us(message):
    return us_since(int.from_bytes(message[:8], "big"))


def address(ip, port):
    return socket.getaddrinfo(ip, port)[0][-1]


def read(sock, n):
    """Exactly n bytes. Raises OSError when the other side ends."""
    data = b""
    while len(data) < n:
        part = sock.recv(n - len(data))
        if not part:
            raise OSError("closed")
        data += part
    return data


def opened(ip, port):
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.connect(address(ip, port))
    sock.setsockopt(_TCP, _NODELAY, 1)
    return sock


def send(sock, data):
    data = memoryview(data)
    while data:
        data = data[sock.send(data):]


# --- asking --------------------------------------------------------------------------------


def udp_echo(ip, port, count):
    sock, there = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), address(ip, port)
    message, trips = bytes(SIZE), []
    for _ in range(count):
        began_ns = time.time_ns()
        sock.sendto(message, there)
        sock.recvfrom(SIZE)
        trips.append(us_since(began_ns))
    sock.close()
    return trips


def udp_push(ip, port, count):
    sock, there = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), address(ip, port)
    ages = []
    while len(ages) < count:
        sock.sendto(b"go", there)
        for _ in range(_BURST):
            ages.append(age_us(sock.recvfrom(SIZE)[0]))
    sock.close()
    return ages


def tcp_echo(ip, port, count):
    sock = opened(ip, port)
    message, trips = bytes(SIZE), []
    for _ in range(count):
        began_ns = time.time_ns()
        send(sock, message)
        read(sock, SIZE)
        trips.append(us_since(began_ns))
    sock.close()
    return trips


def tcp_push(ip, port, count):
    sock = opened(ip, port)
    ages = [age_us(read(sock, SIZE)) for _ in range(count)]
    sock.close()
    return ages


def bulk(ip, port, size):
    sock = opened(ip, port)
    began_ns = time.time_ns()
    send(sock, size.to_bytes(8, "big"))
    data = memoryview(bytes(CHUNK))
    while size:
        send(sock, data[:min(size, CHUNK)])
        size -= min(size, CHUNK)
    read(sock, 1)
    took_s = us_since(began_ns) / 1e6
    sock.close()
    return took_s


def ask():
    verbs = {"udp_echo": udp_echo, "udp_push": udp_push, "tcp_echo": tcp_echo,
             "tcp_push": tcp_push, "bulk": bulk}
    while True:
        line = sys.stdin.readline()
        if not line:
            return
        request = json.loads(line)
        number, verb = request.pop("id"), request.pop("do")
        try:
            said = {"id": number, "result": verbs[verb](**request)}
        except Exception as error:
            said = {"id": number, "error": "%s: %r" % (verb, error)}
        print(json.dumps(said))


# --- serving, one at a time ----------------------------------------------------------------


def echo_datagram(sock):
    data, there = sock.recvfrom(SIZE)
    sock.sendto(data, there)


def push_datagrams(sock):
    there = sock.recvfrom(SIZE)[1]
    for _ in range(_BURST):
        time.sleep(PAUSE_MS / 1000)
        sock.sendto(stamp(), there)


def echo_stream(sock):
    while True:
        send(sock, read(sock, SIZE))


def push_stream(sock):
    while True:
        send(sock, stamp())
        time.sleep(PAUSE_MS / 1000)


def swallow(sock):
    left = int.from_bytes(read(sock, 8), "big")
    while left:
        data = sock.recv(min(left, CHUNK))
        if not data:
            raise OSError("closed")
        left -= len(data)
    send(sock, b"!")
    read(sock, 1)


def serve(ip):
    served = []
    poll = select.poll()
    for kind, port, handler in ((socket.SOCK_DGRAM, ECHO, echo_datagram),
                                (socket.SOCK_DGRAM, PUSH, push_datagrams),
                                (socket.SOCK_STREAM, ECHO, echo_stream),
                                (socket.SOCK_STREAM, PUSH, push_stream),
                                (socket.SOCK_STREAM, BULK, swallow)):
        sock = socket.socket(socket.AF_INET, kind)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address(ip, port))
        if kind == socket.SOCK_STREAM:
            sock.listen(4)
        poll.register(sock, select.POLLIN)
        served.append((sock, kind, handler))
    print(json.dumps({"ready": True}))
    while True:
        ready = [pair[0] for pair in poll.poll()]
        for sock, kind, handler in served:
            if sock in ready or hasattr(sock, "fileno") and sock.fileno() in ready:
                turn(sock, kind, handler)


def turn(sock, kind, handler):
    if kind == socket.SOCK_DGRAM:
        return handler(sock)
    connection = sock.accept()[0]
    connection.setsockopt(_TCP, _NODELAY, 1)
    try:
        handler(connection)
    except OSError:
        pass            # who asked has what it wanted
    connection.close()


if __name__ == "__main__":
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True)
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    else:
        ask()
