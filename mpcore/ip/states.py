"""States of a TCP connection (RFC 9293 3.3.2).

From ESTABLISHED on it is synchronized; from CLOSING on both sides have said all.
"""

from micropython import const

CLOSED = const(0)
LISTEN = const(1)
SYN_SENT = const(2)
SYN_RECEIVED = const(3)
ESTABLISHED = const(4)
CLOSE_WAIT = const(5)
FIN_WAIT_1 = const(6)
FIN_WAIT_2 = const(7)
CLOSING = const(8)
LAST_ACK = const(9)
TIME_WAIT = const(10)
