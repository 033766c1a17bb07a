"""TCP: one segment in, exact segments out at an exact time."""

import errno
import struct

from ip_link import (ACK, BROADCAST_MAC, FIN, PEER, PSH, RST, SYN, US, Link, give, icmp, ipv4,
                     make, read_ipv4, read_tcp, tcp)
from mpcore import limits
from mpcore.ip import stack as ip_stack, tcp as T
from mpcore.ip.events import ERROR, HUP, READ, WRITE
from mpcore.ip.tcp import TcpSocket
from support import raises
from tcp_bench import (IRS, ISS, MSS, OUR_MSS, PEER_PORT, PORT, SACK_PERMITTED, WINDOW,
                       Bench)


# --- opening ---

def test_active_open():
    bench = Bench()
    socket = bench.begin()
    woken = []
    socket.on_event = lambda: woken.append(socket.events())
    assert socket.state == T.SYN_SENT and socket.events() == 0
    assert socket.send(0, b"x") == 0 and socket.recv(0, 9) is None
    assert bench.give(0, 1, SYN | ACK, options=MSS, at=20) == []
    assert socket.state == T.ESTABLISHED and woken == [WRITE]
    assert bench.poll_now() == [(1, 1, ACK, WINDOW, b"")]
    assert socket.local == (US, PORT) and socket.remote == (PEER, PEER_PORT)
    assert raises(OSError, socket.connect, 0, PEER, 1).errno in (106, 56)


def test_passive_open():
    bench = Bench()
    listener = bench.listen()
    woken = []
    listener.on_event = lambda: woken.append(listener.events())
    assert listener.accept() is None and listener.events() == 0
    assert bench.give(0, 0, SYN, options=MSS) == [(0, 1, SYN | ACK, WINDOW, b"")]
    assert listener.accept() is None and woken == []
    assert bench.give(1, 1, ACK, b"early") == []
    assert woken == [READ]
    socket = listener.accept()
    assert socket.state == T.ESTABLISHED and socket.recv(0, 9) == b"early"
    assert listener.accept() is None
    assert socket.events() == WRITE


def test_what_is_received_is_equal_to_the_same_bytes_wherever_they_are_compared():
    # MicroPython keeps a hash in bytes and strings: two with different ones are not equal to it.
    bench = Bench()
    socket = bench.connect()
    for position, word in ((1, b"door"), (5, b"lamp")):
        bench.give(position, 1, ACK | PSH, word)
        data = socket.recv(0, 9)
        assert hash(data) == hash(word) and {word: 1}[data] == 1
        assert {str(word, "ascii"): 1}[str(data, "ascii")] == 1


def test_the_initial_sequence_depends_on_address_secret_and_time():
    stack, interface, link = make()
    first = stack.tcp.initial_sequence(1000, b"key")
    assert stack.tcp.initial_sequence(1001, b"key") == first + 250 & 0xFFFFFFFF
    assert stack.tcp.initial_sequence(1000, b"other") != first
    stack = ip_stack.Stack(lambda n: bytes(n))
    assert stack.tcp.initial_sequence(1000, b"key") != first


def test_a_lost_syn_is_sent_again_and_given_up():
    bench = Bench()
    socket = bench.begin()
    times = []
    now = 0
    while now is not None:
        segments, now = bench.poll(now)
        if segments:
            assert segments == [(0, 0, SYN, WINDOW, b"")]
            times.append(bench.now)
    assert times == [1000, 3000, 7000, 15000]
    assert bench.now == 31000 and socket.error == errno.ETIMEDOUT
    assert socket.events() == READ | WRITE | ERROR | HUP
    assert raises(OSError, socket.recv, 0, 1).errno == errno.ETIMEDOUT
    assert raises(OSError, socket.send, 0, b"x").errno == errno.ETIMEDOUT
    assert bench.stack.tcp.connections == {}


def test_after_a_lost_syn_the_timeout_is_3_s():
    bench = Bench()
    socket = bench.begin()
    bench.poll(1000)
    bench.give(0, 1, SYN | ACK, at=1100)
    socket.send(1100, b"x")
    assert bench.out() == [(1, 1, ACK | PSH, WINDOW, b"x")]
    assert bench.poll(1100 + 2999) == ([], 4100)
    assert bench.poll(4100)[0] == [(1, 1, ACK | PSH, WINDOW, b"x")]


def test_a_lost_syn_ack_is_sent_again():
    bench = Bench()
    listener = bench.listen()
    bench.give(0, 0, SYN)
    assert bench.poll(999) == ([], 1000)
    assert bench.poll(1000) == ([(0, 1, SYN | ACK, WINDOW, b"")], 3000)
    assert bench.give(0, 0, SYN, at=1500) == [(0, 1, SYN | ACK, WINDOW, b"")]
    bench.give(1, 1, ACK)
    assert listener.accept().state == T.ESTABLISHED


def test_an_unanswered_syn_ack_gives_its_place_back():
    bench = Bench()
    listener = bench.listen(1)
    bench.give(0, 0, SYN)
    now = 0
    while now is not None:
        now = bench.poll(now)[1]
    assert bench.now == 31000 and bench.stack.tcp.connections == {} and listener.has_room()


def test_simultaneous_open():
    bench = Bench()
    socket = bench.begin()
    assert bench.give(0, 0, SYN, options=MSS) == [(0, 1, SYN | ACK, WINDOW, b"")]
    assert socket.state == T.SYN_RECEIVED
    # The peer's SYN, ACK is old by its SYN: it gets an ACK, which opens the peer's side.
    assert bench.give(0, 1, SYN | ACK) == [(1, 1, ACK, WINDOW, b"")]
    assert bench.give(1, 1, ACK) == []
    assert socket.state == T.ESTABLISHED and socket.events() == WRITE


def test_closing_before_the_connection_is_there():
    for flags, reset in ((0, []), (SYN, [(1, 1, RST | ACK, 0, b"")])):
        bench = Bench()
        socket = bench.begin()
        if flags:
            bench.give(0, 0, SYN)
        socket.close(0)
        assert bench.out() == reset and bench.poll(9000) == ([], None)
        assert bench.stack.tcp.connections == {}


def test_connection_refused():
    bench = Bench()
    socket = bench.begin()
    assert bench.give(0, 5, RST | ACK) == [] and socket.state == T.SYN_SENT
    assert bench.give(0, 1, RST | ACK) == []
    assert socket.error == errno.ECONNREFUSED and socket.state == T.CLOSED
    assert bench.poll(1000) == ([], None)


def test_refused_by_icmp():
    bench = Bench()
    socket = bench.begin()
    syn = tcp(PORT, PEER_PORT, ISS, 0, SYN, source=US, destination=PEER)
    forged = tcp(PORT, PEER_PORT, ISS + 1, 0, SYN, source=US, destination=PEER)
    give(bench.interface, 0, icmp(3, 3, bytes(4) + forged[:28]))
    assert socket.state == T.SYN_SENT
    give(bench.interface, 0, icmp(3, 3, bytes(4) + syn[:28]))
    assert socket.error == errno.ECONNREFUSED
    bench = Bench()
    bench.connect()
    give(bench.interface, 0, icmp(3, 1, bytes(4) + syn[:28]))
    assert bench.socket.state == T.ESTABLISHED


def test_segments_fit_a_path_that_was_too_small():
    data = bytes(range(250)) * 8
    for forged, sizes in ((False, [860, 860, 280]), (True, [])):
        bench = Bench()
        socket = bench.accept()
        socket.send(0, data)
        quoted = bench.link.take()[0][3][:28]
        if forged:
            quoted = quoted[:24] + b"\1\2\3\4"
        give(bench.interface, 0, icmp(3, 4, b"\0\0" + struct.pack(">H", 900) + quoted))
        sent = [segment[4] for segment in bench.out()]
        assert [len(part) for part in sent] == sizes
        assert b"".join(sent) == (b"" if forged else data)
        assert bench.stack.counters == ({"icmp_stray": 1} if forged else {})


def test_no_neighbour_no_connection():
    stack, interface, link = make(learn=False)
    socket = TcpSocket(stack)
    socket.connect(0, PEER, 80)
    now = 0
    while not socket.error:
        last, now = now, stack.poll(now)
    assert socket.error == errno.EHOSTUNREACH and last == 5000


def test_a_syn_for_a_closed_port_is_reset():
    bench = Bench()
    give(bench.interface, 0, tcp(PEER_PORT, PORT, 1000, 0, SYN, data=b"ab"))
    assert read_tcp(bench.link.take()[0][3])[:6] == (PORT, PEER_PORT, 0, 1003, RST | ACK, 0)
    give(bench.interface, 0, tcp(PEER_PORT, PORT, 1000, 77, ACK, data=b"ab"))
    assert read_tcp(bench.link.take()[0][3])[:6] == (PORT, PEER_PORT, 77, 0, RST, 0)
    give(bench.interface, 0, tcp(PEER_PORT, PORT, 1000, 77, RST | ACK))
    give(bench.interface, 0, tcp(PEER_PORT, PORT, 1000, 0, SYN, destination=b"\xff" * 4),
         mac=BROADCAST_MAC)
    assert bench.link.take() == []
    assert bench.stack.counters == {"tcp_closed_port": 1, "tcp_no_connection": 1,
                                    "tcp_broadcast": 1}


def test_a_listener_knows_what_is_not_for_it():
    bench = Bench()
    bench.listen()
    assert bench.give(0, 1, ACK) == [(1, 0, RST, 0, b"")]
    assert bench.give(0, 1, SYN | ACK) == [(1, 0, RST, 0, b"")]
    assert bench.give(0, 0, RST) == bench.give(0, 0, PSH) == []
    assert bench.stack.tcp.connections == {}


def test_a_wrong_ack_of_our_syn_ack_is_reset():
    bench = Bench()
    listener = bench.listen()
    bench.give(0, 0, SYN)
    assert bench.give(1, 7, ACK) == [(7, 0, RST, 0, b"")]
    assert bench.give(1, 0, ACK) == [(0, 0, RST, 0, b"")]
    assert bench.give(1, 1, RST) == [] and listener.has_room()
    assert bench.stack.tcp.connections == {}


def test_the_backlog_is_bounded():
    bench = Bench()
    listener = bench.listen(2)
    for bench.peer_port in (1, 2, 3):
        assert bench.give(0, 0, SYN) == [(0, 1, SYN | ACK, WINDOW, b"")]
    for bench.peer_port in (1, 2, 3):
        assert bench.give(1, 1, ACK) == []
    bench.peer_port = 4
    assert bench.give(0, 0, SYN) == []
    assert bench.stack.counters == {"tcp_backlog": 2}
    assert listener.accept().remote == (PEER, 1)
    assert bench.give(0, 0, SYN) == [(0, 1, SYN | ACK, WINDOW, b"")]
    # Whose ACK found no room is answered again in time, and may come then.
    bench.peer_port = 3
    assert bench.give(1, 1, ACK, b"still here") == []
    assert listener.accept().remote == (PEER, 2)
    assert listener.accept().recv(0, 99) == b"still here"


def test_closing_a_listener_resets_what_waits():
    bench = Bench()
    listener = bench.listen()
    for bench.peer_port in (1, 2):
        bench.give(0, 0, SYN)
    bench.give(1, 1, ACK)
    listener.close(0)
    resets = [read_tcp(frame[3]) for frame in bench.link.take()]
    assert sorted([(reset[1], reset[4]) for reset in resets]) == [(1, RST | ACK), (2, RST | ACK)]
    assert bench.stack.tcp.connections == {} and bench.stack.tcp.listeners == {}
    listener.close(0)


def test_a_flood_of_syns_costs_records_then_nothing():
    bench = Bench()
    listener = bench.listen(2)
    for bench.peer_port in range(1, 1 + limits.TCP_HALF_OPEN):
        assert bench.give(0, 0, SYN) == [(0, 1, SYN | ACK, WINDOW, b"")]
    for bench.peer_port in range(100, 140):
        # Now the initial sequence number is a cookie, and another one for each.
        assert len(bench.give(0, 0, SYN)) == 1
    assert len(bench.stack.tcp.half_open) == limits.TCP_HALF_OPEN
    assert bench.stack.tcp.connections == {}
    assert bench.stack.counters == {"tcp_syn_cookie": 40}
    bench.peer_port = 300
    bench.plain = False
    seq, ack, flags, window, _ = bench.give(0, 0, SYN, options=MSS + SACK_PERMITTED)[0]
    assert (ack, flags, window, bench.options) == (1, SYN | ACK, WINDOW, [OUR_MSS])
    cookie = ISS + seq & 0xFFFFFFFF
    # A guess is reset, the cookie makes the connection, with the data that came with it.
    assert bench.give(1, seq + 2, ACK) == [(seq + 2, 0, RST, 0, b"")]
    assert bench.give(1, seq + 1, ACK | PSH, b"hello") == []
    socket = listener.accept()
    assert socket.remote == (PEER, 300) and socket.recv(0, 9) == b"hello"
    assert socket.wire[0] == cookie and socket._mss == 1460
    # It serves for two minutes at most, and only the one that it was made for.
    bench.peer_port = 301
    assert len(bench.give(1, seq + 1, ACK)) == 1
    bench.peer_port = 302
    seq = bench.give(0, 0, SYN)[0][0]
    assert bench.give(1, seq + 1, ACK, at=200000)[0][2] == RST
    assert listener.accept() is None


def test_the_flood_ends_with_the_attempts():
    bench = Bench()
    bench.listen()
    for bench.peer_port in range(1, 1 + limits.TCP_HALF_OPEN):
        bench.give(0, 0, SYN)
    now = 0
    while now is not None:
        now = bench.stack.poll(now)
        bench.link.take()
    assert bench.stack.tcp.half_open == {}
    assert bench.stack.counters == {"tcp_gave_up": limits.TCP_HALF_OPEN}


def test_a_peer_that_began_anew_gets_through():
    bench = Bench()
    listener = bench.listen()
    bench.give(0, 0, SYN)
    # Its SYN has another number now: an ACK makes it reset the old attempt.
    assert bench.give(5000, 0, SYN) == [(1, 1, ACK, 0, b"")]
    assert bench.give(1, 0, RST) == [] and bench.stack.tcp.half_open == {}
    assert bench.give(0, 0, SYN) == [(0, 1, SYN | ACK, WINDOW, b"")]
    bench.give(1, 1, ACK)
    assert listener.accept().state == T.ESTABLISHED


def test_a_completing_segment_must_be_in_the_window():
    bench = Bench()
    listener = bench.listen()
    bench.give(0, 0, SYN)
    assert bench.give(WINDOW + 2, 1, ACK, b"far") == bench.give(0, 1, ACK) == []
    assert bench.give(2, 1, RST) == [] and len(bench.stack.tcp.half_open) == 1
    assert bench.give(1, 1, PSH, b"no ack") == []
    assert bench.stack.counters == {"tcp_out_of_window": 2, "tcp_stray": 1}
    assert listener.accept() is None
    assert bench.give(4, 1, ACK, b"def") == [(1, 1, ACK, WINDOW, b"")]
    assert bench.give(1, 1, ACK, b"abc") == [(1, 7, ACK, WINDOW - 6, b"")]
    assert listener.accept().recv(0, 99) == b"abcdef"


def test_the_number_of_sockets_is_bounded():
    bench = Bench()
    bench.listen(8)
    for i in range(limits.TCP_SOCKETS):
        TcpSocket(bench.stack).connect(0, PEER, 1000 + i)
    bench.link.take()
    assert raises(OSError, TcpSocket(bench.stack).connect, 0, PEER, 7).errno == errno.ENOBUFS
    assert bench.give(0, 0, SYN) == []
    assert bench.stack.counters == {"tcp_backlog": 1}


def test_what_an_application_may_not_do():
    bench = Bench()
    listener = bench.listen()
    other = TcpSocket(bench.stack)
    assert raises(OSError, other.bind, None, PORT).errno == errno.EADDRINUSE
    assert raises(OSError, other.accept).errno == errno.EINVAL
    assert raises(OSError, other.recv, 0, 1).errno == errno.ENOTCONN
    assert raises(OSError, other.send, 0, b"").errno == errno.ENOTCONN
    assert raises(OSError, other.shutdown_write, 0).errno == errno.ENOTCONN
    assert raises(OSError, other.connect, 0, bytes((8, 8, 8, 8)), 1).errno == errno.EHOSTUNREACH
    assert raises(OSError, other.connect, 0, b"\xff" * 4, 1).errno == errno.EHOSTUNREACH
    assert raises(OSError, listener.listen, 1).errno == errno.EINVAL
    other.bind(US, PORT)
    other.connect(0, PEER, 1)
    assert raises(OSError, other.connect, 0, PEER, 1).errno == errno.EALREADY
    twin = TcpSocket(bench.stack)
    twin.bind(US, PORT)
    assert raises(OSError, twin.connect, 0, PEER, 1).errno == errno.EADDRINUSE


# --- data ---

def test_small_writes_leave_at_once():
    bench = Bench()
    socket = bench.accept()
    for i in range(3):
        assert socket.send(0, b"abc") == 3
        assert bench.out() == [(1 + 3 * i, 1, ACK | PSH, WINDOW, b"abc")]
    assert bench.give(1, 10, ACK) == [] and bench.poll(10000) == ([], None)


def test_a_large_write_is_cut_by_the_segment_size_and_the_congestion_window():
    bench = Bench()
    socket = bench.accept()
    data = bytes([i & 0xFF for i in range(5000)])
    assert socket.send(0, data) == limits.TCP_SEND_RING
    assert bench.out() == [(1, 1, ACK, WINDOW, data[:1460]),
                           (1461, 1, ACK, WINDOW, data[1460:2920]),
                           (2921, 1, ACK | PSH, WINDOW, data[2920:4096])]
    woken = []
    socket.on_event = lambda: woken.append(socket.events())
    assert socket.events() == 0
    assert bench.give(1, 2921, ACK) == [] and woken == [WRITE]
    assert socket.send(0, data[4096:]) == 904
    assert bench.out() == [(4097, 1, ACK | PSH, WINDOW, data[4096:])]


def test_without_an_mss_option_segments_have_536_bytes():
    bench = Bench()
    socket = bench.accept(options=b"")
    socket.send(0, bytes(600))
    assert [len(s[4]) for s in bench.out()] == [536, 64]
    for options, mss in ((b"\x01\x01\x02\x04\x04\x00\0\0", 1024), (b"\x05\x00\0\0", 536),
                         (b"\x02\x04\xff\xff", 2760), (b"\x02\x04\0\1", 64),
                         (b"\x01\x01\x01\x02", 536)):
        bench = Bench()
        socket = bench.accept(options=options)
        socket.send(0, bytes(2800))
        assert len(bench.out()[0][4]) == mss


def test_an_interactive_write_is_acknowledged_at_the_next_poll():
    bench = Bench()
    bench.accept()
    assert bench.give(1, 1, ACK | PSH, b"a", at=100) == []
    assert bench.poll_now() == [(1, 2, ACK, WINDOW - 1, b"")]
    bench = Bench()
    bench.accept(options=b"\2\4\0\x64")
    assert bench.give(1, 1, ACK | PSH, bytes(100), at=100) == []    # a full segment is none
    assert bench.poll(100) == ([], 120)


def test_acks_are_delayed_by_20_ms_or_one_segment():
    bench = Bench()
    socket = bench.accept()
    assert bench.give(1, 1, ACK, b"a", at=100) == []
    assert socket.recv(100, 9) == b"a"
    assert bench.poll(119) == ([], 120)
    assert bench.poll(120)[0] == [(1, 2, ACK, WINDOW - 1, b"")]
    assert bench.give(2, 1, ACK, b"b") == []
    assert bench.give(3, 1, ACK, b"c") == []
    assert bench.poll_now() == [(1, 4, ACK, WINDOW - 3, b"")]
    assert bench.give(4, 1, ACK, b"d", at=200) == []
    socket.send(210, b"answer")
    bench.now = 210
    assert bench.out() == [(1, 5, ACK | PSH, WINDOW - 4, b"answer")]
    bench.give(5, 7, ACK)
    assert bench.poll(300) == ([], None)


def test_what_is_sent_before_the_poll_carries_the_ack():
    bench = Bench()
    due = []
    bench.stack.on_schedule = due.append
    socket = bench.begin()
    bench.give(0, 1, SYN | ACK, options=MSS, at=5)
    socket.send(5, b"first")
    assert bench.out() == [(1, 1, ACK | PSH, WINDOW, b"first")] and bench.poll_now() == []
    bench.give(1, 6, ACK, b"a", at=10)
    assert due[-1] == 30
    assert bench.give(2, 6, ACK, b"b") == [] and due[-1] == 10
    assert bench.give(3, 6, ACK, b"c") == []
    socket.send(10, b"answer")
    assert bench.out() == [(6, 4, ACK | PSH, WINDOW - 3, b"answer")] and bench.poll_now() == []
    assert bench.give(4, 12, ACK | FIN, b"d") == []
    socket.close(10)
    assert bench.out() == [(12, 6, RST | ACK, 0, b"")]      # as it was not read


def test_an_answer_given_at_once_carries_the_ack():
    bench = Bench()
    socket = bench.accept()
    socket.on_event = lambda: socket.send(bench.now, socket.recv(bench.now, 99) or b"")
    assert bench.give(1, 1, ACK | PSH, b"ping") == [(1, 5, ACK | PSH, WINDOW - 4, b"ping")]


def test_out_of_order_data_is_kept_and_acknowledged_at_once():
    bench = Bench()
    socket = bench.accept()
    assert bench.give(4, 1, ACK, b"def") == [(1, 1, ACK, WINDOW, b"")]
    assert bench.give(10, 1, ACK, b"jkl") == [(1, 1, ACK, WINDOW, b"")]
    assert socket.recv(0, 99) is None
    assert bench.give(1, 1, ACK, b"abc") == [(1, 7, ACK, WINDOW - 6, b"")]
    assert socket.recv(0, 99) == b"abcdef"
    assert bench.give(6, 1, ACK, b"fghijk") == [(1, 13, ACK, WINDOW - 12, b"")]
    assert socket.recv(0, 99) == b"ghijkl"


def test_ranges_out_of_order_are_bounded():
    bench = Bench()
    socket = bench.accept()
    for i in range(limits.TCP_GAPS + 2):
        bench.give(11 + 10 * i, 1, ACK, b"x" * 5)
    assert bench.stack.counters == {"tcp_gaps_full": 2}
    for i in range(limits.TCP_GAPS + 2):
        bench.give(6 + 10 * i, 1, ACK, b"y" * 5)   # each adjoins its right neighbour
    assert bench.give(1, 1, ACK, b"z" * 5)[0][1] == 11 + 10 * limits.TCP_GAPS
    assert socket.recv(0, 99) == b"z" * 5 + (b"y" * 5 + b"x" * 5) * limits.TCP_GAPS + b"y" * 5


def test_duplicates_are_acknowledged_and_dropped():
    bench = Bench()
    socket = bench.accept()
    bench.give(1, 1, ACK, b"abc")
    assert bench.give(1, 1, ACK, b"abc") == [(1, 4, ACK, WINDOW - 3, b"")]
    assert bench.give(2, 1, ACK, b"bcde") == []
    assert socket.recv(0, 99) == b"abcde"


def test_data_beyond_the_window_is_cut_off():
    bench = Bench()
    socket = bench.accept()
    assert bench.give(WINDOW - 1, 1, ACK, b"1234") == [(1, 1, ACK, WINDOW, b"")]
    assert bench.give(WINDOW + 2, 1, ACK, b"1234") == [(1, 1, ACK, WINDOW, b"")]
    assert bench.give(1, 1, ACK, bytes(WINDOW - 2)) == [(1, WINDOW + 1, ACK, 0, b"")]
    assert socket.recv(0, 9999)[-3:] == b"\x0012"


def test_a_full_window_reopens_when_that_is_worth_a_segment():
    bench = Bench()
    socket = bench.accept()
    bench.give(1, 1, ACK, bytes(WINDOW // 2))
    assert bench.give(1 + WINDOW // 2, 1, ACK, bytes(WINDOW // 2)) == []
    assert bench.poll_now() == [(1, 1 + WINDOW, ACK, 0, b"")]
    assert bench.give(1 + WINDOW, 1, ACK, b"p") == [(1, 1 + WINDOW, ACK, 0, b"")]   # a probe
    assert len(socket.recv(0, 1459)) == 1459 and bench.out() == []
    assert len(socket.recv(0, 1)) == 1
    assert bench.out() == [(1, 1 + WINDOW, ACK, 1460, b"")]


def test_acknowledgements_from_beyond_a_closed_window_count():
    bench = Bench()
    socket = bench.accept()
    assert socket.send(0, b"abcd") == 4
    assert bench.out() == [(1, 1, ACK | PSH, WINDOW, b"abcd")]
    for at in range(1, WINDOW, 1024):
        bench.give(at, 1, ACK, bytes(1024))
    assert bench.poll_now()[-1:] == [(5, WINDOW + 1, ACK, 0, b"")]
    bench.give(WINDOW + 1, 1, ACK, b"p")        # a probe, which the peer counts
    assert socket.outstanding() == 4
    assert bench.give(WINDOW + 2, 3, ACK) == [] and socket.outstanding() == 2
    assert bench.give(WINDOW + 2, 5, ACK, b"q") == [] and socket.outstanding() == 0
    assert bench.poll_now() == [(5, WINDOW + 1, ACK, 0, b"")]
    for seq, flags in ((WINDOW + 2, RST), (2 * WINDOW + 2, ACK), (WINDOW + 2, ACK | SYN)):
        bench.give(seq, 5, flags)
        assert socket.state == T.ESTABLISHED
    assert bench.stack.counters == {"tcp_out_of_window": 2}
    assert len(socket.recv(0, WINDOW)) == WINDOW
    assert bench.out() == [(5, WINDOW + 1, ACK, WINDOW, b"")]
    bench.give(WINDOW + 1, 5, ACK | PSH, b"pq", window=77)
    assert socket.recv(0, 9) == b"pq"


def test_a_zero_window_is_probed():
    bench = Bench()
    socket = bench.accept(window=4)
    assert socket.send(0, b"abcdefgh") == 8
    assert bench.out() == [(1, 1, ACK, WINDOW, b"abcd")]
    assert bench.give(1, 5, ACK, window=0, at=10) == []
    times = []
    now = 10
    while len(times) < 4:
        segments, now = bench.poll(now)
        if segments:
            assert segments == [(5, 1, ACK, WINDOW, b"e")]
            times.append(bench.now)
            assert bench.give(1, 5, ACK, window=0) == []
    assert times == [210, 610, 1410, 3010]
    assert bench.give(1, 5, ACK, window=100) == [(5, 1, ACK | PSH, WINDOW, b"efgh")]
    # The next timeout is the measured one again: 200 ms.
    assert bench.poll(3209) == ([], 3210)
    assert bench.poll(3210)[0] == [(5, 1, ACK | PSH, WINDOW, b"efgh")]


def test_a_probe_may_be_taken():
    bench = Bench()
    socket = bench.accept(window=4)
    socket.send(0, b"abcdefgh")
    bench.out()
    bench.give(1, 5, ACK, window=0, at=10)
    assert bench.poll(210)[0] == [(5, 1, ACK, WINDOW, b"e")]
    assert bench.give(1, 6, ACK, window=2) == [(6, 1, ACK, WINDOW, b"fg")]
    assert bench.give(1, 8, ACK, window=2) == [(8, 1, ACK | PSH, WINDOW, b"h")]


def test_a_silent_zero_window_is_given_up_and_an_answering_one_is_not():
    for answers in (True, False):
        bench = Bench()
        socket = bench.accept(window=1)
        socket.send(0, b"ab")
        bench.out()
        bench.give(1, 2, ACK, window=0)
        now = 0
        while now is not None and now < 1000000:
            segments, now = bench.poll(now)
            if segments and answers:
                bench.give(1, 2, ACK, window=0)
        assert socket.error == (0 if answers else errno.ETIMEDOUT)


def test_a_window_too_small_to_be_worth_it_is_not_used():
    bench = Bench()
    socket = bench.accept(window=3000)
    socket.send(0, bytes(4000))
    assert [len(s[4]) for s in bench.out()] == [1460, 1460]     # 80 bytes of window stay unused
    assert [len(s[4]) for s in bench.give(1, 2921, ACK, window=1000)] == []
    assert [len(s[4]) for s in bench.give(1, 2921, ACK, window=1500)] == [1080]
    bench = Bench()
    socket = bench.accept(window=3000)
    socket.send(0, bytes(4000))
    bench.out()
    bench.give(1, 2921, ACK, window=1000, at=10)
    assert bench.poll(209) == ([], 210)
    assert [len(s[4]) for s in bench.poll(210)[0]] == [1000]     # but not for ever


def test_lost_data_is_sent_again_and_given_up():
    bench = Bench()
    socket = bench.accept()
    bench.now = 1000
    socket.send(1000, b"abc")
    bench.out()
    times = []
    now = 1000
    while now is not None:
        segments, now = bench.poll(now)
        if segments:
            assert segments == [(1, 1, ACK | PSH, WINDOW, b"abc")]
            times.append(bench.now - 1000)
    assert times == [200, 600, 1400, 3000, 6200, 12600, 25400, 51000]
    assert bench.now == 1000 + 102200 and socket.error == errno.ETIMEDOUT


def test_the_timeout_follows_the_round_trip():
    bench = Bench()
    socket = bench.accept()      # first sample: 0 ms
    for i in range(20):
        bench.now = 1000 * i
        socket.send(bench.now, b"x")
        bench.out()
        bench.give(1, 2 + i, ACK, at=bench.now + 400)
    socket.send(bench.now, b"x")
    bench.out()
    wait = bench.poll(bench.now)[1] - bench.now
    assert 400 < wait < 650
    # Karn: the answer to a retransmission is no sample; one doubling stays until there is one.
    bench.poll(bench.now + wait)
    bench.poll(bench.now + 2 * wait)
    bench.give(1, 22, ACK, at=bench.now + 5000)
    socket.send(bench.now, b"x")
    bench.out()
    assert bench.poll(bench.now)[1] - bench.now == 2 * wait
    bench.give(1, 23, ACK, at=bench.now + 400)
    socket.send(bench.now, b"x")
    assert bench.poll(bench.now)[1] - bench.now <= wait


def established_with_segments(count):
    bench = Bench()
    socket = bench.accept()
    for i in range(count):
        socket.send(0, bytes((i,)) * 100)
    assert len(bench.out()) == count
    return bench, socket


def test_fast_retransmit_and_recovery():
    bench, socket = established_with_segments(8)
    assert bench.give(1, 101, ACK, at=50) == []
    assert bench.give(1, 101, ACK) == bench.give(1, 101, ACK) == []
    sent = bench.give(1, 101, ACK)
    assert [(s[0], s[4][:1]) for s in sent] == [(101, b"\1")]
    assert bench.give(1, 101, ACK) == []
    # A partial ACK: the next hole is filled without waiting.
    sent = bench.give(1, 501, ACK)
    assert [(s[0], s[4][:1]) for s in sent] == [(501, b"\5")]
    assert bench.give(1, 801, ACK) == []
    assert bench.poll(5000) == ([], None)


def test_duplicate_acks_let_new_data_out():
    bench = Bench()
    socket = bench.accept()
    bench.stack.tcp.connections[socket._key]._congestion.window = 1460
    socket.send(0, bytes(4096))
    assert [s[0] for s in bench.out()] == [1]
    assert [s[0] for s in bench.give(1, 1, ACK)] == [1461]
    assert [s[0] for s in bench.give(1, 1, ACK)] == [2921]
    assert [s[0] for s in bench.give(1, 1, ACK)] == [1]


def test_few_segments_need_few_duplicates():
    for size, enough in ((1461, 1), (2921, 2), (4381, 3)):
        bench = Bench()
        bench.listen().send_ring = 5000
        bench.give(0, 0, SYN, options=MSS)
        bench.give(1, 1, ACK)
        socket = bench.listener.accept()
        socket._congestion.window = 9000
        socket.send(0, bytes(size))
        bench.out()
        answers = [[s[0] for s in bench.give(1, 1, ACK)] for _ in range(enough + 2)]
        assert [bool(sent) for sent in answers] == [i == enough - 1 for i in range(enough + 2)]
        assert answers[enough - 1] == [1]


def test_a_window_update_is_no_duplicate_ack():
    bench, socket = established_with_segments(4)
    for i in range(6):
        assert bench.give(1, 1, ACK, window=60000 + i) == []


def test_after_a_timeout_transmission_starts_slowly():
    bench = Bench()
    socket = bench.accept()
    socket.send(0, bytes(4096))
    assert [s[0] for s in bench.out()] == [1, 1461, 2921]
    assert [s[0] for s in bench.poll(200)[0]] == [1]
    assert [s[0] for s in bench.give(1, 1461, ACK)] == [1461, 2921]
    assert bench.give(1, 4097, ACK) == []


# --- closing ---

def test_we_close_first():
    bench = Bench()
    socket = bench.accept()
    socket.send(0, b"bye")
    bench.out()
    socket.close(0)
    assert bench.out() == [(4, 1, ACK | FIN, WINDOW, b"")]
    assert socket.state == T.FIN_WAIT_1
    assert bench.give(1, 5, ACK) == [] and socket.state == T.FIN_WAIT_2
    assert bench.give(1, 5, ACK | FIN, at=100) == [(5, 2, ACK, WINDOW - 1, b"")]
    assert socket.state == T.TIME_WAIT
    assert bench.give(1, 5, ACK | FIN, at=200) == [(5, 2, ACK, WINDOW - 1, b"")]
    assert bench.poll(5199) == ([], 5200) and socket.state == T.TIME_WAIT
    assert bench.poll(5200) == ([], None)
    assert socket.state == T.CLOSED and bench.stack.tcp.connections == {}


def test_the_peer_closes_first():
    bench = Bench()
    socket = bench.accept()
    woken = []
    socket.on_event = lambda: woken.append(socket.events())
    assert bench.give(1, 1, ACK | FIN | PSH, b"last") == []
    assert bench.poll_now() == [(1, 6, ACK, WINDOW - 5, b"")]
    assert socket.state == T.CLOSE_WAIT and woken == [READ | WRITE]
    assert socket.recv(0, 99) == b"last" and socket.recv(0, 99) == b""
    assert socket.recv_into(0, bytearray(4)) == 0
    socket.send(0, b"more")
    assert bench.out() == [(1, 6, ACK | PSH, WINDOW - 5, b"more")]
    socket.close(0)
    assert bench.out() == [(5, 6, ACK | FIN, WINDOW - 5, b"")]
    assert socket.state == T.LAST_ACK
    assert bench.give(6, 6, ACK) == [] and socket.state == T.CLOSED and socket.error == 0
    assert bench.poll(9000) == ([], None)


def test_half_close():
    bench = Bench()
    socket = bench.accept()
    socket.shutdown_write(0)
    assert bench.out() == [(1, 1, ACK | FIN, WINDOW, b"")]
    socket.shutdown_write(0)
    assert bench.out() == []
    assert raises(OSError, socket.send, 0, b"x").errno == 32
    bench.give(1, 2, ACK)
    assert socket.state == T.FIN_WAIT_2 and socket.events() == 0
    assert bench.give(1, 2, ACK, b"reply") == []
    assert socket.recv(0, 99) == b"reply" and bench.poll(20)[0] == [(2, 6, ACK, WINDOW - 5, b"")]
    bench.give(6, 2, ACK | FIN)
    assert socket.recv(0, 99) == b"" and socket.events() == READ | HUP


def test_simultaneous_close():
    bench = Bench()
    socket = bench.accept()
    socket.close(0)
    bench.out()
    assert bench.give(1, 1, ACK | FIN) == [(2, 2, ACK, WINDOW - 1, b"")]
    assert socket.state == T.CLOSING
    assert bench.give(2, 2, ACK) == [] and socket.state == T.TIME_WAIT


def test_a_fin_out_of_order_waits_for_the_data():
    bench = Bench()
    socket = bench.accept()
    assert bench.give(4, 1, ACK | FIN, b"def") == [(1, 1, ACK, WINDOW, b"")]
    assert socket.state == T.ESTABLISHED
    assert bench.give(1, 1, ACK, b"abc") == [(1, 8, ACK, WINDOW - 7, b"")]
    assert socket.state == T.CLOSE_WAIT and socket.recv(0, 99) == b"abcdef"


def test_a_lost_fin_is_sent_again():
    bench = Bench()
    socket = bench.accept()
    socket.send(0, b"abc")
    socket.shutdown_write(0)
    bench.out()
    assert bench.poll(200)[0] == [(1, 1, ACK | PSH | FIN, WINDOW, b"abc")]
    bench.give(1, 4, ACK, at=210)
    assert bench.poll(609)[0] == []
    assert bench.poll(610)[0] == [(4, 1, ACK | FIN, WINDOW, b"")]
    bench.give(1, 5, ACK)
    assert socket.state == T.FIN_WAIT_2


def test_what_is_queued_is_sent_before_the_fin():
    bench = Bench()
    socket = bench.accept(window=2)
    socket.send(0, b"abcd")
    socket.close(0)
    assert bench.out() == [(1, 1, ACK, WINDOW, b"ab")]
    assert bench.give(1, 3, ACK, window=9) == [(3, 1, ACK | PSH | FIN, WINDOW, b"cd")]


def test_closing_with_unread_data_resets():
    bench = Bench()
    socket = bench.accept()
    bench.give(1, 1, ACK, b"unread")
    socket.close(0)
    assert bench.out() == [(1, 7, ACK | RST, 0, b"")]
    assert socket.state == T.CLOSED and bench.stack.tcp.connections == {}


def test_data_after_close_resets():
    bench = Bench()
    socket = bench.accept()
    socket.close(0)
    bench.out()
    bench.give(1, 2, ACK)
    assert bench.give(1, 2, ACK, b"late") == [(2, 1, ACK | RST, 0, b"")]
    assert socket.state == T.CLOSED


def test_a_peer_that_never_closes_is_left():
    bench = Bench()
    socket = bench.accept()
    socket.close(0)
    bench.out()
    bench.give(1, 2, ACK, at=10)
    assert bench.poll(20009)[0] == [] and socket.state == T.FIN_WAIT_2
    assert bench.poll(20010) == ([], None) and bench.stack.tcp.connections == {}


def test_abort():
    bench = Bench()
    socket = bench.accept()
    socket.send(0, b"abc")
    bench.out()
    socket.abort(0)
    assert bench.out() == [(4, 1, ACK | RST, 0, b"")]
    assert bench.poll(9999) == ([], None)
    socket.abort(0)
    socket.close(0)
    assert bench.out() == []


def test_a_new_connection_ends_time_wait():
    bench = Bench()
    socket = bench.accept()
    socket.close(0)
    bench.out()
    bench.give(1, 2, ACK | FIN)
    assert socket.state == T.TIME_WAIT
    assert bench.give(1, 2, SYN) == [(2, 2, ACK, WINDOW - 1, b"")]      # an old one does not
    assert bench.give(70000, 2, SYN) == [(0, 70001, SYN | ACK, WINDOW, b"")]
    assert socket.state == T.CLOSED and bench.stack.tcp.time_waits == []
    assert bench.give(70001, 1, ACK) == [] and bench.listener.accept() is not None


def test_a_fin_may_come_where_the_window_ends():
    bench = Bench()
    socket = bench.accept()
    for at in range(1, WINDOW, 1024):
        bench.give(at, 1, ACK, bytes(1024))
    assert bench.poll_now()[-1:] == [(1, WINDOW + 1, ACK, 0, b"")]
    assert bench.give(WINDOW + 1, 1, ACK | FIN) == []
    assert bench.poll_now() == [(1, WINDOW + 2, ACK, 0, b"")]
    socket.send(0, b"answer")
    assert bench.out() == [(1, WINDOW + 2, ACK | PSH, 0, b"answer")]
    assert bench.give(WINDOW + 2, 7, ACK) == [] and bench.poll(5000)[0] == []
    assert len(socket.recv(0, 99999)) == WINDOW and socket.recv(0, 9) == b""


def test_time_waits_are_bounded_and_make_room():
    bench = Bench()
    bench.listen(8)
    for bench.peer_port in range(1, 1 + limits.TCP_TIME_WAITS + 3):
        bench.give(0, 0, SYN)
        bench.give(1, 1, ACK)
        bench.listener.accept().close(0)
        bench.out()
        bench.give(1, 2, ACK | FIN)
    assert len(bench.stack.tcp.time_waits) == limits.TCP_TIME_WAITS
    assert len(bench.stack.tcp.connections) == limits.TCP_TIME_WAITS
    assert bench.stack.counters == {"tcp_time_wait_evicted": 3}
    for i in range(limits.TCP_SOCKETS):
        TcpSocket(bench.stack).connect(0, PEER, 1000 + i)
    assert bench.stack.tcp.time_waits == []


# --- resets and forgeries (RFC 5961) ---

def test_reset():
    bench = Bench()
    socket = bench.accept()
    woken = []
    socket.on_event = lambda: woken.append(socket.events())
    bench.give(1, 1, ACK, b"read me")
    del woken[:]
    assert bench.give(8, 1, RST) == []
    assert socket.state == T.CLOSED and woken == [READ | WRITE | ERROR | HUP]
    assert socket.recv(0, 99) == b"read me"
    assert raises(OSError, socket.recv, 0, 1).errno == errno.ECONNRESET
    assert raises(OSError, socket.send, 0, b"x").errno == errno.ECONNRESET


def test_a_guessed_reset_syn_or_ack_is_challenged():
    bench = Bench()
    socket = bench.accept()
    challenge = [(1, 1, ACK, WINDOW, b"")]
    assert bench.give(2, 1, RST) == challenge
    assert bench.give(0, 1, RST) == bench.give(WINDOW + 2, 1, RST) == []
    assert bench.give(1, 1, SYN) == challenge
    assert bench.give(1, 2, ACK, b"forged") == challenge
    assert bench.give(1, -65537, ACK, b"forged") == challenge
    assert bench.give(9999, 1, ACK) == challenge
    assert bench.give(1, 0, PSH, b"no ack") == []
    assert socket.state == T.ESTABLISHED and socket.recv(0, 99) is None


def test_challenges_are_limited():
    bench = Bench()
    bench.accept()
    answers = [len(bench.give(2, 1, RST)) for _ in range(15)]
    assert sum(answers) == 10 and bench.stack.counters == {"tcp_challenge_limited": 5}
    # Another connection has its own limit: nobody learns of one by the other's answers.
    first, bench.peer_port = bench.peer_port, 7
    bench.give(0, 0, SYN)
    bench.give(1, 1, ACK)
    assert len(bench.give(2, 1, RST)) == 1
    bench.peer_port = first
    assert len(bench.give(2, 1, RST, at=1000)) == 1


def test_bad_segments_are_counted():
    bench = Bench()
    bench.accept()
    good = tcp(PEER_PORT, PORT, IRS + 1, ISS + 1, ACK, data=b"data")
    give(bench.interface, 0, ipv4(6, good[20:39]))
    give(bench.interface, 0, ipv4(6, good[20:32] + b"\x40" + good[33:]))
    give(bench.interface, 0, ipv4(6, good[20:-1] + b"?"))
    assert bench.stack.counters == {"tcp_malformed": 2, "tcp_checksum": 1}
    assert bench.out() == []


def test_ip_options_before_a_segment():
    bench = Bench()
    socket = bench.accept()
    body = tcp(PEER_PORT, PORT, IRS + 1, ISS + 1, ACK, data=b"data")[20:]
    header = struct.pack(">BBHHHBBH4s4sI", 0x46, 0, 24 + len(body), 1, 0, 64, 6, 0, PEER, US,
                         0x01010101)
    total = sum(struct.unpack(">12H", header))
    check = 0xFFFF - (total % 0xFFFF)
    give(bench.interface, 0, header[:10] + struct.pack(">H", check) + header[12:] + body)
    assert socket.recv(0, 99) == b"data"


def test_without_a_route_nothing_leaves_and_nothing_breaks():
    bench = Bench()
    socket = bench.accept()
    bench.interface.set_addresses(0, [])
    socket.send(0, b"abc")
    assert bench.out() == [] and bench.stack.counters == {"tcp_no_route": 1}
    bench.interface.set_addresses(0, [(US, 24)])
    bench.link.take()
    assert bench.poll(200)[0] == [(1, 1, ACK | PSH, WINDOW, b"abc")]


def test_a_connection_to_ourselves():
    stack, interface, link = make()
    listener, client = TcpSocket(stack), TcpSocket(stack)
    listener.bind(None, PORT)
    listener.listen(1)
    client.connect(0, US, PORT)
    for _ in range(4):
        stack.poll(0)
    server = listener.accept()
    client.send(0, b"hello me")
    stack.poll(0)
    assert server.recv(0, 99) == b"hello me" and link.take() == []
    server.close(0)
    for _ in range(4):
        stack.poll(0)
    assert client.recv(0, 9) == b""


def test_application_calls_inside_events_are_safe():
    for call in ("close", "abort", "shutdown_write"):
        for flags in (ACK, ACK | FIN):
            bench = Bench()
            socket = bench.accept()
            socket.on_event = lambda: getattr(socket, call)(bench.now)
            bench.give(1, 1, flags, b"data")
            bench.give(5, 1, flags, b"data")
            assert socket.state != T.ESTABLISHED


def test_a_segment_is_cut_to_the_link_and_never_fragmented():
    bench = Bench(Link(mtu=1500))
    bench.listen()
    give(bench.interface, 0, tcp(PEER_PORT, PORT, IRS, 0, SYN))
    packet = bench.link.take()[0][3]
    assert read_ipv4(packet)[3] == 0 and packet[6] == 0x40
    assert read_tcp(packet)[6] == b"\x02\x04\x05\xb4"
