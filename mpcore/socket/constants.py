"""The constants of MicroPython's `socket`, with the values that this platform gives them.

A name that the platform lacks gets a value of its own, which means nothing to the platform: for
options one from UNKNOWN_OPTION on.
"""

from mpcore.port import constant

AF_INET = constant("AF_INET", 2)
AF_INET6 = constant("AF_INET6", 10)
SOCK_STREAM = constant("SOCK_STREAM", 1)
SOCK_DGRAM = constant("SOCK_DGRAM", 2)
SOCK_RAW = constant("SOCK_RAW", 3)
IPPROTO_IP = constant("IPPROTO_IP", 0)
IPPROTO_TCP = constant("IPPROTO_TCP", 6)
IPPROTO_UDP = constant("IPPROTO_UDP", 17)
IPPROTO_IPV6 = constant("IPPROTO_IPV6", 41)
SHUT_RD = 0
SHUT_WR = 1
SHUT_RDWR = 2

MSG_PEEK = constant("MSG_PEEK", 2)
MSG_DONTWAIT = constant("MSG_DONTWAIT", 64)

UNKNOWN_OPTION = 0x7F00
SOL_SOCKET = constant("SOL_SOCKET", 1)
SO_REUSEADDR = constant("SO_REUSEADDR", 0x7F01)
SO_BROADCAST = constant("SO_BROADCAST", 0x7F02)
SO_KEEPALIVE = constant("SO_KEEPALIVE", 0x7F03)
SO_LINGER = constant("SO_LINGER", 0x7F04)
SO_ERROR = constant("SO_ERROR", 0x7F05)
SO_TYPE = constant("SO_TYPE", 0x7F06)
SO_SNDBUF = constant("SO_SNDBUF", 0x7F07)
SO_RCVBUF = constant("SO_RCVBUF", 0x7F08)
SO_BINDTODEVICE = constant("SO_BINDTODEVICE", 0x7F09)

IP_TTL = constant("IP_TTL", 0x7F10)
IP_MULTICAST_TTL = constant("IP_MULTICAST_TTL", 0x7F11)
IP_MULTICAST_LOOP = constant("IP_MULTICAST_LOOP", 0x7F12)
IP_ADD_MEMBERSHIP = constant("IP_ADD_MEMBERSHIP", 0x7F13)
IP_DROP_MEMBERSHIP = constant("IP_DROP_MEMBERSHIP", 0x7F14)
IPV6_JOIN_GROUP = constant("IPV6_JOIN_GROUP", 0x7F20)
IPV6_LEAVE_GROUP = constant("IPV6_LEAVE_GROUP", 0x7F21)
IPV6_V6ONLY = constant("IPV6_V6ONLY", 0x7F22)

TCP_NODELAY = constant("TCP_NODELAY", 0x7F30)
TCP_KEEPIDLE = constant("TCP_KEEPIDLE", 0x7F31)
TCP_KEEPINTVL = constant("TCP_KEEPINTVL", 0x7F32)
TCP_KEEPCNT = constant("TCP_KEEPCNT", 0x7F33)
