"""TCP's options, keepalive and a socket's settings: what follows from each, by the segment."""

import errno
import struct

from ip_link import ACK, FIN, PEER, PSH, RST, SYN, Link, give, tcp
from mpcore import limits
from mpcore.ip import options, tcp as T
from mpcore.ip.tcp import TcpSocket
from tcp_bench import IRS, ISS, MSS, OUR_MSS, PEER_PORT, PORT, SACK_PERMITTED, WINDOW, Bench

RING = 262144                       # needs a shift of 3: 65536 would be one too many for 2
SCALE = b"\1\3\3"


def stamps(value, echo, syn=False):
    return (b"\4\2" if syn else b"\1\1") + b"\x08\x0a" + struct.pack(
        ">II", value & 0xFFFFFFFF, echo & 0xFFFFFFFF)


def sack(*ranges):
    data = b"\1\1\5" + bytes((2 + 8 * len(ranges),))
    for start, end in ranges:
        data += struct.pack(">II", IRS + start & 0xFFFFFFFF, IRS + end & 0xFFFFFFFF)
    return data


def sack_of_ours(*ranges):
    return sack(*[(start + ISS - IRS, end + ISS - IRS) for start, end in ranges])


# --- what a SYN says ---

def test_reading_options():
    for data, found in ((b"", {}), (b"\2\4\5\xb4", {2: 2}), (b"\1\1\4\2", {4: 4}),
                        (b"\1\3\3\7\0\3\3\7", {3: 3}), (b"\2\4\5", {}), (b"\2\3\5\4\2", {4: 5}),
                        (b"\x22\4\0\0\4\2\1\1", {4: 6}), (b"\4\1\4\2", {}), (b"\5\2\1\1", {}),
                        (b"\5\x0a" + bytes(8), {5: 2}), (b"\5\x0b" + bytes(9), {}),
                        (b"\5\x12" + bytes(8), {}), (b"\x08\x0a" + bytes(8) + b"\3", {8: 2})):
        buf = bytes(7) + data
        read = options.read(buf, 7, len(buf))
        assert {kind: at - 7 for kind, at in read.items()} == found


def test_an_offer_is_what_was_written():
    for scale in (None, 0, 14):
        for permitted in (False, True):
            for pair in (None, (0xFFFFFFFF, 7)):
                data = options.offer(1460, scale, permitted, pair)
                assert len(data) % 4 == 0 and len(data) <= 40
                read = options.read_offer(data, 0, len(data), 5)
                assert (read.window, read.mss, read.scale) == (5, 1460, scale)
                assert read.sack == permitted
                assert read.stamp == (pair and pair[0])
    assert options.read_offer(b"\3\3\x63", 0, 3, 5).scale == 14      # RFC 7323 2.3


def test_small_rings_offer_sack_alone():
    bench = Bench()
    bench.plain = False
    bench.begin()
    assert bench.options == [OUR_MSS + SACK_PERMITTED]
    # And so they answer, whatever the peer offers.
    bench = Bench()
    bench.plain = False
    bench.accept(options=MSS + stamps(9, 0, syn=True) + SCALE + b"\7")
    assert bench.answer_options == OUR_MSS + SACK_PERMITTED
    assert bench.socket._snd_scale == 0 and bench.socket._stamps is None


def test_large_rings_offer_all():
    bench = Bench()
    bench.plain = False
    bench.now = 5
    socket = TcpSocket(bench.stack)
    socket.receive_ring = RING
    socket.bind(None, PORT)
    socket.connect(5, PEER, PEER_PORT)
    assert bench.out() == [(0, 0, SYN, 65535, b"")]
    assert bench.options == [OUR_MSS + stamps(ISS + 5, 0, syn=True) + SCALE + b"\3"]


def test_large_rings_answer_with_what_was_offered():
    for offered, answered in (
            (MSS, OUR_MSS),
            (MSS + SACK_PERMITTED, OUR_MSS + SACK_PERMITTED),
            (MSS + SCALE + b"\7", OUR_MSS + SCALE + b"\3"),
            (MSS + stamps(9, 0), OUR_MSS + stamps(ISS & 0xFFFFFFFF, 9)),
            (MSS + stamps(9, 0, syn=True) + SCALE + b"\2",
             OUR_MSS + stamps(ISS, 9, syn=True) + SCALE + b"\3")):
        bench = Bench()
        bench.plain = False
        bench.accept(options=offered, ring=RING,
                     then=stamps(9, ISS) if b"\x08\x0a" in offered else b"")
        assert bench.answer_options == answered


def test_timestamps_by_choice():
    for choice in (True, False):
        bench = Bench()
        bench.plain = False
        socket = TcpSocket(bench.stack)
        socket.timestamps = choice
        socket.receive_ring = WINDOW if choice else RING
        socket.bind(None, PORT)
        socket.connect(0, PEER, PEER_PORT)
        bench.out()
        assert bench.options == [OUR_MSS + (stamps(ISS, 0, syn=True) if choice
                                            else SACK_PERMITTED + SCALE + b"\3")]


# --- window scaling (RFC 7323 2) ---

def test_windows_are_scaled_both_ways():
    bench = Bench()
    bench.plain = False
    socket = bench.accept(window=100, options=MSS + SCALE + b"\4", ring=RING)
    # The peer's 100 were bytes in its SYN and are units of 16 since its ACK.
    assert socket.send(0, bytes(3000)) == 3000
    assert [len(s[4]) for s in bench.out()] == [1460]
    # What we offer, in units of 8: our ring, rounded down, less what we hold.
    assert bench.give(1, 1461, ACK | PSH, b"x" * 9, window=1000) == [
        (1461, 10, ACK, RING - 9 >> 3, bytes(1460)),
        (2921, 10, ACK | PSH, RING - 9 >> 3, bytes(80))]
    for i in range(10):
        bench.give(10 + 1000 * i, 3001, ACK, bytes(1000), window=1000)
    assert bench.poll_now() == [(3001, 10010, ACK, RING - 10009 >> 3, b"")]
    # Reading moves the edge when that is worth a segment.
    assert len(socket.recv(0, 1400)) == 1400 and bench.out() == []
    assert len(socket.recv(0, 1400)) == 1400
    assert bench.out() == [(3001, 10010, ACK, RING - 10009 + 2800 >> 3, b"")]


def test_without_the_peer_s_scale_the_window_stays_small():
    bench = Bench()
    socket = bench.accept(ring=RING)
    assert bench.give(1, 1, ACK | PSH, b"x") == []
    assert bench.poll_now() == [(1, 2, ACK, 65534, b"")]
    assert socket._rx.size == 65535


def test_more_than_64_kb_in_flight():
    bench = Bench(Link(mtu=1500))
    bench.plain = False
    socket = bench.accept(window=65535, options=MSS + SCALE + b"\3", ring=RING)
    socket.send(0, bytes(RING))
    flight = acked = 1
    for _ in range(45):
        for seq, _, _, _, data in bench.out():
            assert seq == flight
            flight += len(data)
        acked = min(acked + 2920, flight)
        flight += sum(len(s[4]) for s in bench.give(1, acked, ACK, window=65535))
    assert flight - acked > 65535


# --- SACK, receiving (RFC 2018) ---

def test_what_came_out_of_order_is_reported():
    bench = Bench()
    bench.plain = False
    socket = bench.accept(options=MSS + SACK_PERMITTED)
    assert bench.answer_options == OUR_MSS + SACK_PERMITTED
    for i, expected in enumerate((
            [(11, 16)], [(21, 26), (11, 16)], [(31, 36), (21, 26), (11, 16)],
            [(41, 46), (31, 36), (21, 26), (11, 16)])):
        assert bench.give(11 + 10 * i, 1, ACK, b"x" * 5) == [(1, 1, ACK, WINDOW, b"")]
        assert bench.options == [sack(*expected)]
    # The block that changed last is the first one.
    bench.give(16, 1, ACK, b"y" * 5)
    assert bench.options == [sack((11, 26), (41, 46), (31, 36))]
    bench.give(1, 1, ACK, b"z" * 10)
    assert bench.options == [sack((41, 46), (31, 36))]
    bench.give(26, 1, ACK, b"y" * 20)
    assert bench.options == [b""] and len(socket.recv(0, 99)) == 45


def test_data_leaves_room_for_the_report():
    bench = Bench()
    bench.plain = False
    socket = bench.accept(options=MSS + SACK_PERMITTED)
    bench.give(11, 1, ACK, b"x" * 5)
    socket.send(0, bytes(2000))
    assert [len(s[4]) for s in bench.out()] == [1448, 552]
    assert bench.options == [sack((11, 16))] * 2


def test_timestamps_leave_room_for_three_blocks():
    bench = Bench()
    bench.plain = False
    bench.accept(options=MSS + stamps(9, 0, syn=True), ring=RING, then=stamps(9, ISS))
    for i in range(4):
        bench.give(11 + 10 * i, 1, ACK, b"x" * 5, options=stamps(9, ISS))
    assert bench.options == [stamps(ISS, 9) + sack((41, 46), (31, 36), (21, 26))]


def test_without_the_peer_s_word_nothing_is_reported():
    bench = Bench()
    bench.accept()
    bench.give(11, 1, ACK, b"x" * 5)
    assert bench.options == [b""]


# --- timestamps (RFC 7323) ---

def stamped(link=None):
    bench = Bench(link)
    bench.plain = False
    bench.accept(options=MSS + stamps(1000, 0), ring=RING, then=stamps(1000, ISS))
    return bench, bench.socket


def test_every_segment_has_timestamps_and_less_data():
    bench, socket = stamped()
    socket.send(0, bytes(1449))
    assert [len(s[4]) for s in bench.out()] == [1448, 1]
    assert bench.options == [stamps(ISS, 1000)] * 2
    bench.give(1, 1450, ACK | PSH, b"abc", options=stamps(1100, ISS), at=70)
    bench.poll_now()
    assert bench.options == [stamps(ISS + 70 & 0xFFFFFFFF, 1100)]
    # A reset needs none.
    bench.give(4, 1450, RST)
    assert socket.error == errno.ECONNRESET


def test_what_is_echoed():
    bench, socket = stamped()
    # Of several segments that one ACK answers the first one's time counts, so that the delay of
    # the ACK is in the round trip; a segment beyond a hole does not count.
    bench.give(1, 1, ACK, b"a", options=stamps(1010, ISS), at=10)
    bench.give(2, 1, ACK, b"b", options=stamps(1012, ISS), at=12)
    bench.poll_now()
    assert bench.options == [stamps(ISS + 12 & 0xFFFFFFFF, 1010)]
    bench.give(9, 1, ACK, b"z", options=stamps(1020, ISS), at=20)
    assert bench.options == [stamps(ISS + 20 & 0xFFFFFFFF, 1010)]


def test_an_old_duplicate_is_told_by_its_time():
    bench, socket = stamped()
    bench.give(1, 1, ACK, b"a", options=stamps(1010, ISS))
    bench.poll(20)
    assert bench.give(2, 1, ACK, b"OLD", options=stamps(1009, ISS)) == [(1, 2, ACK, 65534, b"")]
    assert bench.give(2, 1, ACK, b"none") == []
    assert bench.stack.counters == {"tcp_timestamps": 2}
    assert socket.recv(20, 99) == b"a"
    # After 24 days of silence any time is good again.
    bench.give(2, 1, ACK, b"new", options=stamps(1, ISS), at=25 * 86400000)
    assert socket.recv(0, 99) == b"new"


def test_a_retransmission_gives_a_round_trip():
    bench, socket = stamped()
    bench.now = 1000
    socket.send(1000, b"x")
    bench.out()
    assert bench.poll(1200)[0][0][4] == b"x"
    # The echo tells that the first one arrived: without it, the timeout would stay doubled.
    bench.give(1, 2, ACK, options=stamps(1001, ISS + 1000), at=1300)
    assert socket._trip.timeout_ms == socket._trip._rto_ms > 300


# --- keepalive ---

def test_a_silent_peer_is_asked_and_given_up():
    bench = Bench()
    socket = bench.accept()
    socket.keep_alive(0, 10000, 1000, 3)
    bench.give(1, 1, ACK | PSH, b"x", at=4000)
    bench.poll_now()
    probe = [(0, 2, ACK, WINDOW - 1, b"")]
    assert bench.poll(13999) == ([], 14000)
    assert bench.poll(14000) == (probe, 15000)
    # An answer begins all anew.
    assert bench.give(2, 1, ACK, at=14100) == []
    assert bench.poll(24099) == ([], 24100)
    assert bench.poll(24100) == (probe, 25100)
    assert bench.poll(25100) == (probe, 26100)
    assert bench.poll(26100) == (probe, 27100)
    assert bench.poll(27100) == ([], None)
    assert socket.error == errno.ETIMEDOUT and bench.stack.tcp.connections == {}


def test_keepalive_ends_and_is_inherited():
    bench = Bench()
    bench.listen().keep_alive(0, 5000, 1000, 1)
    bench.give(0, 0, SYN)
    bench.give(1, 1, ACK, at=100)
    socket = bench.listener.accept()
    assert bench.poll(5099) == ([], 5100)
    assert bench.poll(5100) == ([(0, 1, ACK, WINDOW, b"")], 6100)
    socket.keep_alive(5200, None)
    assert bench.poll(6100) == ([], None) and socket.state == T.ESTABLISHED


def test_who_waits_for_an_ack_does_not_ask():
    bench = Bench()
    socket = bench.accept(window=1)
    socket.keep_alive(0, 1000, 1000, 1)
    socket.send(0, b"x")
    bench.out()
    segments = []
    for _ in range(8):
        segments += bench.poll(bench.stack.poll(bench.now))[0]
    assert segments and all(s[4] == b"x" for s in segments)


# --- what a socket can be told ---

def test_nagle():
    bench = Bench()
    socket = bench.accept()
    socket.nodelay = False
    socket.send(0, b"one")
    assert bench.out() == [(1, 1, ACK | PSH, WINDOW, b"one")]
    socket.send(0, b"two")
    socket.send(0, b"three")
    assert bench.out() == []
    assert bench.give(1, 4, ACK) == [(4, 1, ACK | PSH, WINDOW, b"twothree")]
    # A full segment goes at once, its short rest too as the short one before has arrived.
    bench.give(1, 12, ACK)
    socket.send(0, bytes(1470))
    assert [len(s[4]) for s in bench.out()] == [1460, 10]
    socket.send(0, bytes(1460))
    assert [len(s[4]) for s in bench.out()] == [1460]
    socket.send(0, b"rest")
    assert bench.out() == []
    socket.close(0)
    assert bench.out()[0][2:] == (ACK | PSH | FIN, WINDOW, b"rest")


def test_ttl():
    bench = Bench()
    bench.listen().ttl = 3
    for seq, ack, flags in ((0, 0, SYN), (1, ISS + 1, ACK)):
        give(bench.interface, 0, tcp(PEER_PORT, PORT, IRS + seq, ack, flags))
    socket = bench.listener.accept()
    socket.send(0, b"x")
    socket.ttl = 200
    socket.send(0, b"y")
    assert [frame[3][8] for frame in bench.link.take()] == [3, 3, 200]


def test_peeking_leaves_the_data():
    bench = Bench()
    socket = bench.accept()
    bench.give(1, 1, ACK, b"abc")
    buf = bytearray(2)
    assert socket.recv(0, 9, True) == b"abc" and socket.recv_into(0, buf, True) == 2
    assert bytes(buf) == b"ab" and socket.recv(0, 9) == b"abc" and socket.recv(0, 9, True) is None


def test_reading_can_be_shut_down():
    bench = Bench()
    socket = bench.accept()
    bench.give(1, 1, ACK, b"unread")
    woken = []
    socket.on_event = lambda: woken.append(socket.events())
    socket.shutdown_read(0)
    assert woken == [T.READ | T.WRITE] and socket.recv(0, 9) == b""
    # What comes is acknowledged, and the window stays open.
    bench.give(7, 1, ACK, bytes(1000))
    assert bench.give(1007, 1, ACK, bytes(1000)) == []
    assert bench.poll_now() == [(1, 2007, ACK, WINDOW, b"")]
    assert socket.recv(0, 9) == b"" and socket.send(0, b"still") == 5
    socket.close(0)
    assert [s[2] for s in bench.out()] == [ACK | PSH, ACK | FIN]


def test_lingering():
    for linger_ms, flags in ((None, ACK | FIN), (0, ACK | RST), (500, ACK | FIN)):
        bench = Bench()
        socket = bench.accept()
        socket.linger_ms = linger_ms
        socket.send(0, b"data")
        bench.out()
        socket.close(0)
        assert bench.out()[0][2] == flags and socket.outstanding() == (4 if linger_ms != 0 else 0)
        if linger_ms:
            assert [s[2] for s in bench.poll(200)[0]] == [ACK | PSH | FIN]
            assert bench.poll(499) == ([], 500)
            assert [s[2] for s in bench.poll(500)[0]] == [ACK | RST]
            assert bench.stack.tcp.connections == {}
    bench = Bench()
    socket = bench.accept()
    socket.linger_ms = 500
    socket.close(0)
    bench.out()
    bench.give(1, 2, ACK, at=100)
    assert bench.poll(500)[0] == [] and socket.state == T.FIN_WAIT_2


def test_a_closed_window_does_not_hold_a_closed_socket_for_ever():
    bench = Bench()
    socket = bench.accept(window=1)
    socket.send(0, b"abc")
    bench.give(1, 2, ACK, window=0)
    socket.close(0)
    now = 0
    while now is not None and now < 1000000:
        segments, now = bench.poll(now)
        if segments:
            bench.give(1, 2, ACK, window=0)
    assert socket.state == T.CLOSED and bench.stack.tcp.connections == {}


def test_a_smaller_mtu_makes_smaller_segments():
    bench = Bench()
    socket = bench.accept()
    bench.link.mtu = 1000
    bench.interface.set_addresses(0, [(socket.local[0], 24)])
    bench.link.take()
    socket.send(0, bytes(2000))
    assert [len(s[4]) for s in bench.out()] == [960, 960, 80]


def test_limits_can_be_raised():
    bench = Bench()
    tcp = bench.stack.tcp
    tcp.max_sockets, tcp.max_backlog, tcp.max_half_open = 100, 50, 40
    tcp.send_ring, tcp.receive_ring = 1000, 2000
    listener = bench.listen(40)
    for bench.peer_port in range(1, 41):
        assert bench.give(0, 0, SYN)[0][:4] == (0, 1, SYN | ACK, 2000)
    for bench.peer_port in range(1, 41):
        bench.give(1, 1, ACK)
    assert len(tcp.connections) == 40 and bench.stack.counters == {}
    assert listener.accept()._tx.size == 1000


def test_a_segment_fits_one_datagram_of_the_link():
    link = Link()
    link.whole = 1394
    bench = Bench(link)
    bench.plain = False
    socket = bench.socket = TcpSocket(bench.stack)
    socket.bind(None, bench.port)
    socket.connect(0, PEER, PEER_PORT)
    bench.out()
    assert bench.options[0][:4] == b"\x02\x04" + (1354).to_bytes(2, "big")
    bench.give(0, 1, SYN | ACK, options=MSS)
    bench.poll_now()
    socket.send(0, bytes(3000))
    assert [len(segment[4]) for segment in bench.out()] == [1354, 1354, 292]
