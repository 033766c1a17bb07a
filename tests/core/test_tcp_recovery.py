"""What TCP does about losses when the peer sends SACKs (RFC 8985, 6675): by the segment."""

from ip_link import ACK, FIN, PEER, SYN, US, give, icmp, tcp
from mpcore import limits
from mpcore.ip import tcp as T
from mpcore.ip.congestion import Congestion
from tcp_bench import ISS, PEER_PORT, PORT, SACK_PERMITTED, Bench
from test_tcp_options import sack, sack_of_ours

TRIP_MS = 200                           # of the handshake
QUARTER_MS = TRIP_MS // 4               # the patience with what others overtake
TAIL_MS = 2 * TRIP_MS + 150             # after that a tail is probed
TIMEOUT_MS = TRIP_MS + 4 * (TRIP_MS // 2)   # the first sample and four variances of half of it
SENT_MS = TRIP_MS                       # a flight leaves when the handshake is over,
BACK_MS = SENT_MS + TRIP_MS             # and then its ACKs arrive
PROBED_MS = SENT_MS + TAIL_MS
SIZE = 1000                             # the peer's MSS


def reduced(window):
    """What a loss leaves of a window in bytes (RFC 9438 4.6)."""
    return max(window * 7 // 10, 2 * SIZE)


def grown(window):
    """The window after an ACK of one segment, while it is smaller than it was before the last
    loss: 9/17 of a segment for each window."""
    return window + SIZE * SIZE // (window - window % SIZE) * 9 // 17


class Flight(Bench):
    """`count` segments leave at SENT_MS; they are numbered from 0."""

    plain = False

    def __init__(self, count, permitted=SACK_PERMITTED, window=None):
        super().__init__()
        self.listen().send_ring = 60000
        self.give(0, 0, SYN, options=b"\2\4\x03\xe8" + permitted)
        self.give(1, 1, ACK, at=SENT_MS)
        self.socket = self.listener.accept()
        self.socket._congestion.window = (window or count) * SIZE
        assert self.write(count) == list(range(count))

    def write(self, count, at=None):
        """The application writes so many segments; returns those that leave."""
        self.now = self.now if at is None else at
        self.socket.send(self.now, bytes(SIZE * count))
        return self.numbers(self.out())

    @staticmethod
    def numbers(segments):
        assert not any(segment[4] and (segment[0] - 1) % SIZE for segment in segments)
        return [(segment[0] - 1) // SIZE for segment in segments]

    def acked(self, number, *has, at=None):
        """The peer acknowledges what is before a segment, and by SACKs has these (number, or
        (first, number behind the last)); returns what leaves then."""
        ranges = [(n, n + 1) if isinstance(n, int) else n for n in has]
        blocks = sack_of_ours(*[(1 + SIZE * a, 1 + SIZE * b) for a, b in ranges])
        return self.numbers(self.give(1, 1 + SIZE * number, ACK, at=at,
                                      options=blocks if has else b""))

    def waited(self, at, before=()):
        """Nothing leaves a millisecond before this time; returns what leaves then."""
        assert self.numbers(self.poll(at - 1)[0]) == list(before)
        return self.numbers(self.poll(at)[0])

    def well(self):
        """All that was sent has arrived, nothing is under way."""
        assert self.socket._board is None and self.poll(self.now + 9000) == ([], None)
        return self.stack.counters == {}


# --- what is lost ---

def test_three_segments_beyond_a_hole_make_it_lost():
    bench = Flight(20)
    assert bench.acked(0, 1, at=BACK_MS) == []
    assert bench.acked(0, (1, 3)) == []
    # 0 and 3 are lost, 15 others are under way, and the window is 7/10 of 20: the first goes
    # whatever it is, the other when two more have left the network, and one more for it.
    assert bench.acked(0, 4, (1, 3)) == [0]
    assert bench.acked(0, (4, 7), (1, 3)) == []
    assert bench.acked(0, (4, 8), (1, 3)) == [3]
    assert bench.acked(0, 9, (4, 8), (1, 3)) == [8]
    assert bench.acked(0, (9, 20), (4, 8), (1, 3)) == []
    assert bench.acked(3, (9, 20), (4, 8), at=BACK_MS + TRIP_MS) == []
    assert bench.acked(8, (9, 20)) == []
    assert bench.acked(20) == []
    assert bench.well()
    congestion = bench.socket._congestion
    assert congestion.window == grown(14 * SIZE) and not congestion.recovering


def test_without_sacks_three_duplicates_make_a_segment_lost():
    bench = Flight(10, permitted=b"")
    assert bench.acked(0, at=BACK_MS) == bench.acked(0) == []
    # The window is 7 of 10 now, and three that have left the network; so is each that follows.
    assert bench.acked(0) == [0]
    assert bench.write(4) == []
    assert bench.acked(0) == [10]
    assert bench.acked(0) == [11]
    congestion = bench.socket._congestion
    assert (congestion.window, congestion._threshold) == (12 * SIZE, 7 * SIZE)
    # With two in flight no more than one joins them at once (RFC 6582 3.2, step 3).
    assert bench.acked(10, at=BACK_MS + TRIP_MS) == [12]
    assert congestion.window == 3 * SIZE and not congestion.recovering


def test_with_fewer_beyond_it_a_segment_is_given_a_quarter_of_a_round_trip():
    bench = Flight(5)
    assert bench.acked(0, 1, at=BACK_MS) == []
    assert bench.waited(BACK_MS + QUARTER_MS) == [0]
    assert bench.acked(5, at=bench.now + TRIP_MS) == [] and bench.well()


def test_one_that_was_only_late_is_not_sent_again():
    bench = Flight(8)
    assert bench.acked(0, 1, at=BACK_MS) == []
    assert bench.acked(2, at=BACK_MS + QUARTER_MS - 1) == []
    assert bench.acked(8, at=BACK_MS + QUARTER_MS + 1) == [] and bench.well()
    # From now on three segments beyond a hole are not proof enough.
    assert bench.write(6, at=10000) == list(range(8, 14))
    assert bench.acked(8, (9, 14), at=10000 + TRIP_MS) == []
    assert bench.waited(10000 + TRIP_MS + bench.socket._trip.smoothed() // 4) == [8]
    assert bench.acked(14, at=bench.now + TRIP_MS) == []
    assert bench.socket._congestion.patience == 1


def test_a_retransmission_that_is_lost_is_noticed():
    bench = Flight(6)
    assert bench.acked(0, (1, 4), at=BACK_MS) == [0]
    # The window is 4.2 segments; 4, 5 and again 0 are under way.
    assert bench.write(4, at=BACK_MS + 1) == [6]
    assert bench.acked(0, (1, 6)) == [7, 8]
    # 0 left a millisecond before 6: if that arrives and it does not, it has been lost again.
    assert bench.acked(0, (1, 7), at=BACK_MS + 1 + TRIP_MS) == [0, 9]
    assert bench.acked(10, at=bench.now + TRIP_MS) == [] and bench.well()


def test_of_the_same_millisecond_a_retransmission_is_not_older_than_new_data():
    bench = Flight(6, window=20)
    assert bench.acked(0, 1, at=BACK_MS) == []
    assert bench.write(3) == [6, 7, 8]
    assert bench.acked(0, (1, 4)) == [0]
    assert bench.acked(0, (1, 7), at=BACK_MS + TRIP_MS) == []
    assert bench.acked(9, at=BACK_MS + TRIP_MS + 1) == [] and bench.well()


def test_an_answer_that_comes_too_soon_is_not_the_retransmission_s():
    bench = Flight(12)
    # 0 and 1 are lost, 7 others are under way, and the window is 8.4 segments.
    assert bench.acked(0, (2, 5), at=BACK_MS) == [0]
    assert bench.acked(0, (2, 6), at=BACK_MS + 1) == [1]
    # Soon after it was sent again 1 is there: that was the first one, and tells nothing of 0.
    assert bench.acked(0, (1, 12), at=BACK_MS + TRIP_MS // 2) == []
    assert bench.acked(12, at=BACK_MS + TRIP_MS) == [] and bench.well()


def test_the_window_is_reduced_once_for_a_flight():
    bench = Flight(10)
    assert bench.acked(0, (1, 4), at=BACK_MS) == [0]
    assert bench.acked(4, (5, 10), at=BACK_MS + TRIP_MS) == [4]
    congestion = bench.socket._congestion
    assert congestion.window == 7 * SIZE
    assert bench.write(9) == list(range(10, 16))        # 4 is under way
    assert bench.acked(10, at=BACK_MS + 2 * TRIP_MS) == [16]
    assert congestion.window == grown(7 * SIZE)
    # What was sent since is another flight. What the first two SACKs let out does not count.
    assert bench.acked(10, (11, 13)) == [17, 18]
    assert bench.acked(10, (11, 14)) == [10]
    assert congestion.window == reduced(grown(7 * SIZE))


def test_what_arrived_twice_means_that_patience_was_due():
    bench = Flight(5)
    assert bench.acked(0, (1, 4), at=BACK_MS) == [0]
    assert bench.acked(5, at=BACK_MS + 10) == []
    assert bench.write(4) == [5, 6, 7]          # 7/10 of 5
    # DSACK (RFC 2883): 0 came a second time.
    assert bench.acked(5, 0, (6, 7), at=bench.now + TRIP_MS) == [8]
    assert bench.socket._board.patience == 1
    assert bench.acked(5, 0, (6, 7), at=bench.now + 1) == []
    assert bench.socket._board.patience == 1


def test_a_reduction_for_what_was_only_late_is_undone():
    bench = Flight(6)
    congestion = bench.socket._congestion
    assert bench.acked(0, (2, 6), at=BACK_MS) == [0, 1]
    assert congestion.window == reduced(6 * SIZE)
    assert bench.acked(6, at=BACK_MS + 10) == []
    # DSACKs tell that both came a second time, when nothing is in flight any more.
    assert bench.acked(6, 0, at=BACK_MS + TRIP_MS) == []
    assert congestion.window == grown(reduced(6 * SIZE))
    assert bench.acked(6, 1, at=bench.now + 1) == []
    assert congestion.window == 6 * SIZE and bench.well()
    # Once: what comes twice later says nothing of that.
    congestion.window = 4 * SIZE
    assert bench.acked(6, 1, at=bench.now + 1) == []
    assert congestion.window == 4 * SIZE


def test_a_reduction_for_a_loss_stays():
    bench = Flight(6)
    congestion = bench.socket._congestion
    assert bench.acked(0, (2, 6), at=BACK_MS) == [0, 1]
    assert bench.acked(6, at=BACK_MS + TRIP_MS) == []
    # One of the two came twice, the other had been lost.
    assert bench.acked(6, 0, at=bench.now + 1) == []
    window = congestion.window
    assert window == grown(reduced(6 * SIZE))
    assert bench.write(5) == [6, 7, 8, 9]
    assert bench.acked(6, (7, 9), at=bench.now + TRIP_MS) == [10]
    assert bench.waited(bench.now + QUARTER_MS) == [6]
    assert congestion.recovering and congestion.repeated == SIZE
    # What was in flight before does not tell of this loss.
    assert bench.acked(6, 1, (7, 9), at=bench.now + 4) == []
    assert congestion.recovering and congestion.repeated == SIZE
    assert bench.acked(11, at=bench.now - 4 + TRIP_MS) == []
    assert congestion.window == grown(reduced(window))


def test_what_came_twice_is_told():
    bench = Flight(1)
    assert bench.give(1, 1001, ACK, b"0123456789") == []
    assert bench.give(21, 1001, ACK, b"0123456789") != []
    assert bench.options == [sack((21, 31))]
    bench.give(1, 1001, ACK, b"01234")
    assert bench.options == [sack((1, 6), (21, 31))]
    bench.give(11, 1001, ACK, b"0123456789")
    assert bench.options == [b""]


def test_blocks_that_cannot_be_are_ignored():
    bench = Flight(2)
    for blocks in (((5001, 6001),), ((1, 1),), ((1500, 1200),), ((-5000, -4000),)):
        for _ in range(4):
            assert bench.give(1, 1, ACK, options=sack_of_ours(*blocks)) == []
    assert bench.socket._board is None
    blocks = sack_of_ours(*[(1001 + 10 * i, 1005 + 10 * i) for i in range(4)])
    bench.give(1, 1, ACK, options=blocks)
    assert len(bench.socket._board.runs) == 9


def test_runs_are_bounded():
    bench = Flight(30)
    for i in range(limits.TCP_RUNS):
        bench.give(1, 1, ACK, options=sack_of_ours((101 + 20 * i, 111 + 20 * i)))
    assert limits.TCP_RUNS <= len(bench.socket._board.runs) <= limits.TCP_RUNS + 2
    # Small writes at many times do not make more of them.
    socket = bench.socket
    socket._congestion.window = 60000
    for i in range(100):
        socket.send(bench.now + i, b"x")
    bench.link.take()
    assert len(socket._board.runs) <= limits.TCP_RUNS + 3
    assert socket._board.runs[-1][1] == socket._snd_max


def test_a_smaller_mtu_makes_all_that_the_peer_lacks_lost():
    bench = Flight(4, window=20)
    assert bench.acked(0, 2, at=BACK_MS) == []
    quoted = tcp(PORT, PEER_PORT, ISS + 1, 0, ACK, source=US, destination=PEER)[:28]
    give(bench.interface, BACK_MS, icmp(3, 4, b"\0\0" + (576).to_bytes(2, "big") + quoted))
    assert [(s[0], len(s[4])) for s in bench.out()] == [
        (1, 536), (537, 536), (1073, 536), (1609, 392), (3001, 536), (3537, 464)]
    bench.give(1, 4001, ACK, at=BACK_MS + TRIP_MS)
    assert bench.well() and bench.socket._congestion.window >= 20 * SIZE


# --- the tail of a flight ---

def test_a_silent_tail_is_probed():
    bench = Flight(5)
    assert bench.waited(PROBED_MS) == [4]
    assert bench.stack.counters == {"tcp_tail_probe": 1}
    # The answer shows what is lost, at once: the window is 3.5 now, and 4 has left the network.
    assert bench.acked(0, 4, at=PROBED_MS + TRIP_MS) == [0, 1, 2]
    assert bench.acked(2, 4, at=PROBED_MS + 2 * TRIP_MS) == [3]
    assert bench.acked(5, at=PROBED_MS + 3 * TRIP_MS) == [] and not bench.well()


def test_an_unanswered_probe_is_followed_by_the_timeout():
    bench = Flight(5)
    assert bench.waited(PROBED_MS) == [4]
    assert bench.waited(PROBED_MS + TIMEOUT_MS) == [0]
    assert bench.stack.counters == {"tcp_tail_probe": 1, "tcp_timeout": 1}
    assert bench.socket._congestion.window == SIZE


def test_a_single_segment_is_not_probed():
    # A peer may delay its ACK.
    bench = Flight(1)
    assert bench.waited(SENT_MS + TIMEOUT_MS) == [0]
    assert bench.stack.counters == {"tcp_timeout": 1}


def test_a_peer_without_sacks_is_not_probed():
    bench = Flight(5, permitted=b"")
    assert bench.waited(SENT_MS + TIMEOUT_MS) == [0]


def test_what_is_sent_later_postpones_the_probe_but_not_the_timeout():
    too_late_ms = SENT_MS + TIMEOUT_MS - TAIL_MS
    bench = Flight(2, window=20)
    assert bench.write(1, at=too_late_ms - 1) == [2]
    assert bench.waited(too_late_ms - 1 + TAIL_MS) == [2]
    bench = Flight(2, window=20)
    assert bench.write(1, at=too_late_ms) == [2]
    assert bench.waited(SENT_MS + TIMEOUT_MS) == [0]
    assert bench.waited(SENT_MS + 3 * TIMEOUT_MS) == [0]
    assert bench.waited(SENT_MS + 7 * TIMEOUT_MS) == [0]


def test_a_probe_that_repaired_a_loss_reduces_the_window():
    bench = Flight(5)
    assert bench.waited(PROBED_MS) == [4]
    assert bench.acked(5, at=PROBED_MS + TRIP_MS) == []
    window = bench.socket._congestion.window
    assert bench.write(6) == list(range(5, 11))
    # That is seen by the first ACK of what followed the probe: five are in flight then.
    assert bench.acked(6, at=PROBED_MS + 2 * TRIP_MS) == []
    assert bench.socket._congestion.window == reduced(5 * SIZE) < window


def test_a_needless_probe_does_not():
    for doubled in ((), (4,)):      # told by a duplicate ACK, or by a DSACK
        bench = Flight(5)
        assert bench.waited(PROBED_MS) == [4]
        assert bench.acked(5, at=PROBED_MS + 10) == []
        assert bench.acked(5, *doubled, at=PROBED_MS + TRIP_MS) == []
        assert bench.socket._board is None
        assert bench.write(4) == [5, 6, 7, 8]
        assert bench.acked(7, at=PROBED_MS + 2 * TRIP_MS) == []
        assert bench.socket._congestion.window >= 5 * SIZE


def test_a_probe_repeats_the_fin():
    bench = Flight(4)
    bench.socket.close(bench.now)
    assert [s[2] for s in bench.out()] == [ACK | FIN]
    sent = bench.poll(PROBED_MS)[0]
    assert [(s[0], len(s[4]), s[2]) for s in sent] == [(3002, 999, ACK | FIN)]
    assert bench.give(1, 4002, ACK, at=PROBED_MS + TRIP_MS) == []
    assert bench.socket.state == T.FIN_WAIT_2


# --- the timeout ---

def test_a_timeout_makes_lost_what_was_sent_a_round_trip_ago():
    bench = Flight(3, window=20)
    timeout_ms = PROBED_MS + TIMEOUT_MS
    assert bench.waited(PROBED_MS) == [2]
    assert bench.write(1, at=timeout_ms - TRIP_MS) == [3]
    assert bench.write(1, at=timeout_ms - TRIP_MS + 1) == [4]
    assert bench.waited(timeout_ms) == [0]
    # 0 is under way again and 4 is still; 1, 2 and 3 are lost.
    assert [run[3] & 2 for run in bench.socket._board.runs] == [0, 2, 2, 2, 0]
    assert bench.acked(1, at=timeout_ms + TRIP_MS) == [1, 2]


def test_a_timeout_passes_what_the_peer_has():
    bench = Flight(6)
    assert bench.acked(0, 2, 4, at=BACK_MS) == []
    assert bench.waited(BACK_MS + QUARTER_MS) == [0, 1, 3]      # the window is 4.2; 5 is under way
    timeout_ms = BACK_MS + QUARTER_MS + TIMEOUT_MS
    assert bench.waited(timeout_ms) == [0]
    assert bench.acked(1, 4, 2, at=timeout_ms + TRIP_MS) == [1, 3]
    assert bench.acked(3, 4, at=timeout_ms + 2 * TRIP_MS) == [5]
    assert bench.acked(6, at=timeout_ms + 3 * TRIP_MS) == []
    assert bench.socket._board is None
    assert bench.stack.counters == {"tcp_timeout": 1}


def test_a_timeout_within_a_recovery_does_not_reduce_twice():
    bench = Flight(16)
    assert bench.acked(0, (1, 4), at=BACK_MS) == [0]
    assert bench.waited(BACK_MS + TIMEOUT_MS) == [0]
    congestion = bench.socket._congestion
    assert (congestion.window, congestion._threshold) == (SIZE, reduced(16 * SIZE))


def test_sacks_after_a_timeout_tell_what_need_not_be_sent_again():
    bench = Flight(1, window=20)
    timeout_ms = SENT_MS + TIMEOUT_MS
    assert bench.write(1, at=SENT_MS + TIMEOUT_MS // 2) == [1]
    assert bench.write(3, at=timeout_ms - QUARTER_MS) == [2, 3, 4]
    assert bench.waited(timeout_ms) == [0]
    assert bench.socket._board is None
    assert bench.acked(1, 3, at=timeout_ms + TRIP_MS) == [1, 2]
    assert bench.acked(2, (3, 5), at=timeout_ms + 2 * TRIP_MS) == []
    assert bench.acked(5, at=bench.now + 1) == [] and bench.socket._board is None


def test_a_peer_that_takes_back_its_word_is_not_believed():
    bench = Flight(4)
    assert bench.acked(0, (1, 3), at=BACK_MS) == []
    assert bench.acked(1, at=BACK_MS + 10) == []
    assert bench.waited(bench.now + bench.socket._trip.timeout_ms) == [1]
    assert bench.acked(2, at=bench.now + TRIP_MS) == [2, 3]


# --- the window ---

def test_ten_segments_to_begin_with():
    # RFC 6928: but not more than ten of 1460 bytes, and two at least.
    for mss, window in ((536, 5360), (1460, 14600), (2760, 14600), (9000, 18000)):
        assert Congestion(mss, 65535, True).window == window


def test_an_ack_of_two_segments_lets_four_out():
    bench = Flight(4)
    assert bench.write(20) == []
    assert bench.acked(2, at=BACK_MS) == [4, 5, 6, 7]


def test_the_window_grows_by_a_segment_for_each_that_was_acknowledged():
    congestion = Congestion(SIZE, 65535, True)
    congestion.window = congestion._threshold = 4 * SIZE
    for ack in range(4):
        congestion.acked(SIZE, 1 + SIZE * ack, 4 * SIZE)
    assert congestion.window == 5 * SIZE


class Saw:
    """A congestion window by itself: every segment is acknowledged at once, until one is lost."""

    def __init__(self, window):
        self.congestion = Congestion(SIZE, 65535, True)
        self.congestion.window = window
        self.una = 1

    def acked(self, count):
        for _ in range(count):
            self.una += SIZE
            self.congestion.acked(SIZE, self.una, self.congestion.window)

    def lost(self):
        """The first of a whole window is, and is repaired."""
        window, una = self.congestion.window, self.una
        self.congestion.lost(una, una + window)
        self.una += window
        self.congestion.acked(window, self.una, 0)


def test_after_a_loss_it_grows_more_slowly_until_it_is_what_it_was():
    saw = Saw(34 * SIZE)
    saw.lost()
    # A window of ACKs, each of which is rounded down by less than a byte or two.
    for segments, most in ((24, 9 * SIZE // 17), (33, 9 * SIZE // 17), (34, SIZE), (40, SIZE)):
        saw.congestion.window = segments * SIZE
        saw.acked(segments)
        assert most - 2 * segments < saw.congestion.window - segments * SIZE <= most


def test_a_reduction_that_is_undone_leaves_the_growth_as_it_was():
    saw = Saw(34 * SIZE)
    saw.lost()
    congestion = saw.congestion
    before = congestion.window
    congestion.lost(saw.una, saw.una + before)
    congestion.repeated = SIZE
    congestion.arrived_twice(saw.una, saw.una + SIZE)
    assert congestion.window == before and not congestion.recovering
    saw.acked(1)
    assert congestion.window == grown(before)


def test_at_the_same_losses_the_mean_window_is_reno_s():
    # One loss in n segments makes Reno's mean window the root of 3/2 n (RFC 9438 4.3).
    for n, mean in ((150, 15), (600, 30)):
        saw = Saw(mean * SIZE)
        saw.lost()
        total = 0
        for tooth in range(40):
            for _ in range(n):
                saw.acked(1)
                # Each segment stands for a share of a round trip.
                total += (tooth >= 20) * SIZE / saw.congestion.window
            saw.lost()
        assert abs(20 * n / total / mean - 1) < 0.03


def test_a_flow_without_troubles_has_no_scoreboard():
    bench = Flight(6)
    assert bench.acked(0, (1, 4), at=BACK_MS) == [0]
    assert bench.socket._board is not None
    assert bench.acked(6, at=BACK_MS + TRIP_MS) == []
    assert bench.socket._board is None
