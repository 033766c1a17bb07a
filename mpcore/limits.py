"""Named limits of a node, with what each costs in RAM (32-bit board) when it is full.

When a limit is reached the oldest, least useful entry goes and a counter says so.
"""

from micropython import const

# --- VL1 -----------------------------------------------------------------------------------
MAX_PACKET = const(10024)         # spec/packet.md 3: whole packet; one receive buffer of this size
MTU = const(1432)                 # largest datagram sent to a path of unknown MTU
MAX_FRAGMENTS = const(7)
REASSEMBLY_SLOTS = const(4)       # up to MAX_PACKET each, freed when complete or after 5 s
PEERS = const(64)                 # about 900 B each with keys and one path; roots and the controller stay
HOST_PEERS = const(4096)          # the same where memory is no concern: hosts, roots, controllers
PATHS_PER_PEER = const(4)         # about 120 B each
WAITING_IN = const(8)             # packets from unknown sources, up to WAITING_BYTES each, 5 s
WAITING_OUT = const(16)           # packets to peers being looked up, up to WAITING_BYTES each, 5 s
WAITING_BYTES = const(3072)
EXPECTED_REPLIES = const(256)     # 16 B each, 10 s
HELLO_GATE_SOURCES = const(32)    # source networks remembered by the HELLO rate gate
INTRODUCTIONS = const(256)        # pairs a root remembers having introduced

# --- VL2 -----------------------------------------------------------------------------------
RULES = const(1024)               # entries of one rule set as the wire allows; about 80 B each
CONFIG_BYTES = const(65536)       # largest config dictionary; the wire allows 484520
CONFIG_UPDATES = const(3)         # configs of a network in assembly, up to CONFIG_BYTES each
METADATA_BYTES = const(2048)      # largest metadata dictionary in a request
DICTIONARY_ENTRIES = const(256)   # entries of one dictionary, about 60 B each

# --- IP ------------------------------------------------------------------------------------

# --- roles ---------------------------------------------------------------------------------

# --- sockets -------------------------------------------------------------------------------
DATAGRAM = const(10024)           # largest datagram taken from the underlay; one buffer of this size
DRAIN_BATCH = const(8)            # datagrams handled before the application's tasks get a turn
REMEMBERED_ENDPOINTS = const(64)  # underlay addresses kept in both forms, about 150 B each
