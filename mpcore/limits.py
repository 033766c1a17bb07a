"""Named limits of a node, with what each costs in RAM (32-bit board) when it is full.

When a limit is reached the oldest, least useful entry goes and a counter says so.
"""

from micropython import const

# --- arithmetic -----------------------------------------------------------------------------
# What is computed before the node looks at datagrams again, in products modulo 2**255 - 19. One
# takes some 7,100 cycles on a Pico: 3.6 ms at 125 MHz, and half a ms more with the look.
SLICE = const(64)
CALM_SLICES = const(4)            # as many in one go while nobody talks to us

# --- VL1 -----------------------------------------------------------------------------------
MAX_PACKET = const(10024)         # spec/packet.md 3: whole packet; one receive buffer of this size
MTU = const(1432)                 # largest datagram sent to a path of unknown MTU
MAX_FRAGMENTS = const(7)
REASSEMBLY_SLOTS = const(4)       # up to MAX_PACKET each, freed when complete or after 5 s
PEERS = const(64)                 # on a board 0.9 KB each, with keys, one path and its membership
                                  # of a network; roots and the controller stay
HOST_PEERS = const(4096)          # the same where memory is no concern: hosts, roots, controllers
PATHS_PER_PEER = const(4)         # about 120 B each
WAITING_IN = const(8)             # packets from unknown sources, up to WAITING_BYTES each, 5 s
WAITING_OUT = const(16)           # packets to peers being looked up, up to WAITING_BYTES each, 5 s
WAITING_BYTES = const(3072)
JOBS = const(32)                  # key agreements that wait, 300 B each; one at work has 4.5 KB
WORK_WAITING = const(8)           # HELLOs and the like that wait for one of them, 100 B each
EXPECTED_REPLIES = const(256)     # or as many as PEERS, if those are fewer; 12 B each, 10 s
HELLO_GATE_SOURCES = const(32)    # source networks remembered by the HELLO rate gate
MOONS = const(8)                  # about 900 B each with one root
PROBED_ENDPOINTS = const(32)      # addresses we look for peers at, about 80 B each
INTRODUCTIONS = const(256)        # pairs a root remembers having introduced

# --- VL2 -----------------------------------------------------------------------------------
# As many as PEERS are also kept of a network's members (see there), of multicast
# groups (120 B each), and half as many of the listeners of each group.
CREDENTIALS = const(16)           # tags, capabilities and ownerships kept of a member, 300 B each
CHECKS = const(64)                # signatures of a network that wait to be checked, 150 B each ...
CHECKS_BYTES = const(12288)       # ... and what they are on. As many from the controller, and
                                  # CONFIG_BYTES
CHECKS_OF_ONE = const(16)         # of them from one peer that is not the controller
REVOCATIONS = const(64)           # of a network, about 60 B each
GROUPS_OF_ONE = const(32)         # multicast groups that one listener may be in, 30 B each
PENDING_MULTICASTS = const(8)     # of a network, waiting for listeners, up to its MTU each, 5 s
HELD_FRAMES = const(8)            # waiting for credentials, up to WAITING_BYTES each, 5 s
BRIDGES = const(32)               # that a frame to an unknown MAC goes to
BRIDGE_ROUTES = const(64)         # MACs behind bridges, about 60 B each
RULES = const(1024)               # entries of one rule set as the wire allows; about 80 B each
CONFIG_BYTES = const(65536)       # largest config dictionary; the wire allows 484520
CONFIG_UPDATES = const(3)         # configs of a network in assembly, up to CONFIG_BYTES each
METADATA_BYTES = const(2048)      # largest metadata dictionary in a request
DICTIONARY_ENTRIES = const(256)   # entries of one dictionary, about 60 B each

# --- IP ------------------------------------------------------------------------------------
NEIGHBOURS = const(32)            # of an interface, for IPv4 and IPv6 each; about 70 B each
NEIGHBOUR_PENDING = const(4)      # packets waiting for one address, up to the link's MTU each
NEIGHBOUR_PENDING_ALL = const(8)  # the same for all addresses of an interface
ROUTES_CACHED = const(16)         # about 60 B each
REASSEMBLIES = const(2)           # datagrams in fragments, up to REASSEMBLY_BYTES each, 15 s
REASSEMBLY_BYTES = const(8192)
LOOPBACK_PACKETS = const(16)      # packets to our own address, up to the link's MTU each, and as
                                  # many short ones of up to 120 B
ECHO_REQUESTS = const(16)         # about 100 B each
UDP_SOCKETS = const(16)           # about 200 B each, and their queues
UDP_QUEUE = const(16)             # datagrams received and not yet read by the application
UDP_QUEUE_BYTES = const(8192)     # the same in bytes, per socket
UDP_GROUPS = const(8)             # that a socket joined, about 100 B each
UDP_DATAGRAM = const(32000)       # largest that is sent; costs no RAM
TCP_SOCKETS = const(32)           # about 1200 B each, and their rings
TCP_SEND_RING = const(4096)       # per connection, settable before it is opened
TCP_RECEIVE_RING = const(8192)    # per connection, settable before it is opened
TCP_UNIX_RING = const(32768)      # each of the two on MicroPython's unix port
TCP_HOST_RING = const(65535)      # and on CPython: the largest without window scaling
TCP_GAPS = const(4)               # ranges received out of order, in a ring of 64 KB: 30 B each
TCP_RUNS = const(32)              # parts of a flight with losses that are told apart: 50 B each
TCP_BACKLOG = const(8)            # connections not yet accepted by the application, per listener
TCP_HALF_OPEN = const(8)          # connections that a peer has not completed, about 350 B each
TCP_TIME_WAITS = const(8)         # about 1200 B each, 5 s

# --- roles ---------------------------------------------------------------------------------
NETWORKS = const(64)              # networks of a controller, about 1 kB each and their rules
MEMBERS = const(1024)             # members of one network, about 1 kB each
STRANGERS = const(32)             # of them, those whom nobody has authorised yet; oldest goes
SESSIONS = const(1024)            # members a controller served lately, about 150 B each

# --- sockets -------------------------------------------------------------------------------
DATAGRAM = const(2048)            # largest datagram taken from the underlay on MicroPython
DRAIN_BATCH = const(8)            # datagrams handled before the application's tasks get a turn
BEHIND = const(8)                 # taken by a board and not yet handled, as far as these are ...
BEHIND_BYTES = const(3072)        # ... no more bytes in all, before the last of them
REMEMBERED_ENDPOINTS = const(64)  # underlay addresses kept in both forms, about 100 B each
STREAM_CHUNK = const(1024)        # taken from a connection at once while looking for a line's end
STREAM_LINE = const(8192)         # longest line that readline() returns
STREAM_BACKLOG = const(8192)      # written and not yet taken by TCP before write() refuses more

# --- names ---------------------------------------------------------------------------------
DNS_QUERIES = const(4)            # asked at a time, each with a UDP socket for each link or server
DNS_WAITING = const(16)           # these and those that wait for them, about 200 B each
DNS_CACHE = const(16)             # answers kept, about 150 B each
DNS_CACHED_BYTES = const(512)     # of data in an answer; longer ones are not kept
DNS_RECORDS = const(16)           # of one message that are looked at together
DNS_ANSWER = const(4096)          # longest over TCP, and there while it is read
MDNS_REPLIES = const(8)           # of a responder that wait on one link, about 200 B each

# --- upkeep --------------------------------------------------------------------------------
REPL_CODE = const(8192)           # bytes of code at once, and of a traceback
REPL_LINE = const(512)            # bytes that a person types before a line ends
REPL_OUTPUT = const(8192)         # bytes printed by a session's code that wait for its end
REPL_SPARE = const(32768)         # bytes of heap that stay free when more than that waits
REPL_LOG = const(1024)            # bytes printed by others that wait for a session
