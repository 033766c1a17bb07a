"""A time server that knows one time, for with_ntptime.py.

    clock.py SECONDS        (since 1970)
"""

import json
import socket
import struct
import sys

_1900_TO_1970_S = 2208988800

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(socket.getaddrinfo("0.0.0.0", 123)[0][-1])
print(json.dumps({"serving": 123}))
while True:
    question, client = server.recvfrom(48)
    answer = bytearray(48)
    answer[0] = 0x24
    struct.pack_into("!I", answer, 40, int(sys.argv[1]) + _1900_TO_1970_S & 0xFFFFFFFF)
    server.sendto(answer, client)
