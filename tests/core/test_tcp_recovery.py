"""What TCP does about losses when the peer sends SACKs (RFC 8985, 6675): by the segment."""

from ip_link import ACK, FIN, PEER, SYN, US, give, icmp, tcp
from mpcore import limits
from mpcore.ip import tcp as T
from mpcore.ip.congestion import Congestion
from tcp_bench import ISS, PEER_PORT, PORT, SACK_PERMITTED, Bench
from test_tcp_options import sack, sack_of_ours

TRIP_MS = 100           # of the handshake: so a quarter is 25 ms,
TAIL_MS = 280           # a tail is probed after two and 80 ms,
TIMEOUT_MS = 300        # and the timeout is one and four variances of 50 ms
SIZE = 1000             # the peer's MSS


class Flight(Bench):
    """`count` segments leave at TRIP_MS; they are numbered from 0."""

    plain = False

    def __init__(self, count, permitted=SACK_PERMITTED, window=None):
        super().__init__()
        self.listen().send_ring = 60000
        self.give(0, 0, SYN, options=b"\2\4\x03\xe8" + permitted)
        self.give(1, 1, ACK, at=TRIP_MS)
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
    bench = Flight(10)
    assert bench.acked(0, 1, at=200) == []
    assert bench.acked(0, (1, 3)) == []
    # The window was halved to 5: of 0 and 3, which are lost, the first goes whatever it is.
    assert bench.acked(0, 4, (1, 3)) == [0]
    assert bench.acked(0, (4, 6), (1, 3)) == []
    assert bench.acked(0, (4, 7), (1, 3)) == [3]
    assert bench.acked(0, 8, (4, 7), (1, 3)) == [7]
    assert bench.acked(3, (8, 10), (4, 7), at=300) == []
    assert bench.acked(7, (8, 10)) == []
    assert bench.acked(10) == []
    assert bench.well()
    congestion = bench.socket._congestion
    assert congestion.window == 5 * SIZE + SIZE // 5 and not congestion.recovering


def test_with_fewer_beyond_it_a_segment_is_given_a_quarter_of_a_round_trip():
    bench = Flight(5)
    assert bench.acked(0, 1, at=200) == []
    assert bench.waited(225) == [0]
    assert bench.acked(5, at=325) == [] and bench.well()


def test_one_that_was_only_late_is_not_sent_again():
    bench = Flight(8)
    assert bench.acked(0, 1, at=200) == []
    assert bench.acked(2, at=224) == []
    assert bench.acked(8, at=226) == [] and bench.well()
    # From now on three segments beyond a hole are not proof enough.
    assert bench.write(6, at=10000) == list(range(8, 14))
    assert bench.acked(8, (9, 14), at=10100) == []
    assert bench.waited(10125) == [8]
    assert bench.acked(14, at=10225) == []
    assert bench.socket._congestion.patience == 1


def test_a_retransmission_that_is_lost_is_noticed():
    bench = Flight(6)
    assert bench.acked(0, (1, 4), at=200) == [0]
    assert bench.write(3) == []
    assert bench.acked(0, (1, 6), at=201) == [6, 7]
    # 0 and these left at 200 and 201: if they arrive and it does not, it has been lost again.
    assert bench.acked(0, (1, 7), at=301) == [0, 8]
    assert bench.acked(9, at=401) == [] and bench.well()


def test_of_the_same_millisecond_a_retransmission_is_not_older_than_new_data():
    bench = Flight(6, window=20)
    assert bench.acked(0, 1, at=200) == []
    assert bench.write(3) == [6, 7, 8]
    assert bench.acked(0, (1, 4)) == [0]
    assert bench.acked(0, (1, 7), at=300) == []
    assert bench.acked(9, at=301) == [] and bench.well()


def test_an_answer_that_comes_too_soon_is_not_the_retransmission_s():
    bench = Flight(8)
    assert bench.acked(0, (2, 5), at=200) == [0]
    assert bench.acked(0, (2, 7)) == [1]
    # 20 ms after it was sent again 0 is there: that was the first one, and tells nothing of 1.
    assert bench.acked(1, (2, 8), at=220) == []
    assert bench.acked(8, at=300) == [] and bench.well()


def test_the_window_is_reduced_once_for_a_flight():
    bench = Flight(10)
    assert bench.acked(0, (1, 4), at=200) == [0]
    assert bench.acked(4, (5, 10), at=300) == [4]
    assert bench.socket._congestion.window == 5 * SIZE
    assert bench.write(9) == [10, 11, 12, 13]
    assert bench.acked(10, at=400) == [14]
    assert bench.socket._congestion.window == 5 * SIZE + SIZE // 5
    # What was sent since is another flight. What the first two SACKs let out does not count.
    assert bench.acked(10, (11, 13)) == [15, 16]
    assert bench.acked(10, (11, 14)) == [10]
    assert bench.socket._congestion.window == 5200 // 2


def test_what_arrived_twice_means_that_patience_was_due():
    bench = Flight(5)
    assert bench.acked(0, (1, 4), at=200) == [0]
    assert bench.acked(5, at=210) == []
    assert bench.write(4) == [5, 6, 7]
    # DSACK (RFC 2883): 0 came a second time.
    assert bench.acked(5, 0, (6, 7), at=310) == [8]
    assert bench.socket._board.patience == 1
    assert bench.acked(5, 0, (6, 7), at=311) == []
    assert bench.socket._board.patience == 1


def test_a_reduction_for_what_was_only_late_is_undone():
    bench = Flight(6)
    assert bench.acked(0, (2, 6), at=200) == [0, 1]
    assert bench.socket._congestion.window == 3 * SIZE
    assert bench.acked(6, at=210) == []
    # DSACKs tell that both came a second time, when nothing is in flight any more.
    assert bench.acked(6, 0, at=300) == []
    assert bench.socket._congestion.window < 4 * SIZE
    assert bench.acked(6, 1, at=301) == []
    assert bench.socket._congestion.window == 6 * SIZE and bench.well()
    # Once: what comes twice later says nothing of that.
    bench.socket._congestion.window = 4 * SIZE
    assert bench.acked(6, 1, at=302) == []
    assert bench.socket._congestion.window == 4 * SIZE


def test_a_reduction_for_a_loss_stays():
    bench = Flight(6)
    congestion = bench.socket._congestion
    assert bench.acked(0, (2, 6), at=200) == [0, 1]
    assert bench.acked(6, at=300) == []
    # One of the two came twice, the other had been lost.
    assert bench.acked(6, 0, at=301) == [] and congestion.window < 4 * SIZE
    assert bench.write(5) == [6, 7, 8]
    assert bench.acked(6, (7, 9), at=401) == [9, 10]
    assert bench.waited(426) == [6]
    assert congestion.recovering and congestion.repeated == SIZE
    # What was in flight before does not tell of this loss.
    assert bench.acked(6, 1, (7, 9), at=430) == []
    assert congestion.recovering and congestion.repeated == SIZE
    assert bench.acked(11, at=526) == [] and congestion.window < 3 * SIZE


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
    assert bench.acked(0, 2, at=200) == []
    quoted = tcp(PORT, PEER_PORT, ISS + 1, 0, ACK, source=US, destination=PEER)[:28]
    give(bench.interface, 200, icmp(3, 4, b"\0\0" + (576).to_bytes(2, "big") + quoted))
    assert [(s[0], len(s[4])) for s in bench.out()] == [
        (1, 536), (537, 536), (1073, 536), (1609, 392), (3001, 536), (3537, 464)]
    bench.give(1, 4001, ACK, at=300)
    assert bench.well() and bench.socket._congestion.window >= 20 * SIZE


# --- the tail of a flight ---

def test_a_silent_tail_is_probed():
    bench = Flight(5)
    assert bench.waited(100 + TAIL_MS) == [4]
    assert bench.stack.counters == {"tcp_tail_probe": 1}
    # The answer shows what is lost, at once: the window is 2 now, and 4 has left the network.
    assert bench.acked(0, 4, at=480) == [0, 1]
    assert bench.acked(2, 4, at=580) == [2, 3]
    assert bench.acked(5, at=680) == [] and not bench.well()


def test_an_unanswered_probe_is_followed_by_the_timeout():
    bench = Flight(5)
    assert bench.waited(100 + TAIL_MS) == [4]
    assert bench.waited(100 + TAIL_MS + TIMEOUT_MS) == [0]
    assert bench.stack.counters == {"tcp_tail_probe": 1, "tcp_timeout": 1}
    assert bench.socket._congestion.window == SIZE


def test_a_single_segment_is_not_probed():
    # A peer may delay its ACK.
    bench = Flight(1)
    assert bench.waited(100 + TIMEOUT_MS) == [0]
    assert bench.stack.counters == {"tcp_timeout": 1}


def test_a_peer_without_sacks_is_not_probed():
    bench = Flight(5, permitted=b"")
    assert bench.waited(100 + TIMEOUT_MS) == [0]


def test_what_is_sent_later_postpones_the_probe_but_not_the_timeout():
    bench = Flight(2, window=20)
    assert bench.write(1, at=110) == [2]
    assert bench.waited(110 + TAIL_MS) == [2]
    bench = Flight(2, window=20)
    assert bench.write(1, at=300) == [2]
    assert bench.waited(100 + TIMEOUT_MS) == [0]
    assert bench.waited(100 + 3 * TIMEOUT_MS) == [0]
    assert bench.waited(100 + 7 * TIMEOUT_MS) == [0]


def test_a_probe_that_repaired_a_loss_reduces_the_window():
    bench = Flight(5)
    assert bench.waited(100 + TAIL_MS) == [4]
    assert bench.acked(5, at=480) == []
    window = bench.socket._congestion.window
    assert bench.write(4) == [5, 6, 7, 8]
    assert bench.acked(7, at=580) == []
    assert bench.socket._congestion.window == 2 * SIZE < window


def test_a_needless_probe_does_not():
    for doubled in ((), (4,)):      # told by a duplicate ACK, or by a DSACK
        bench = Flight(5)
        assert bench.waited(100 + TAIL_MS) == [4]
        assert bench.acked(5, at=390) == []
        assert bench.acked(5, *doubled, at=480) == []
        assert bench.socket._board is None
        assert bench.write(4) == [5, 6, 7, 8]
        assert bench.acked(7, at=580) == []
        assert bench.socket._congestion.window >= 5 * SIZE


def test_a_probe_repeats_the_fin():
    bench = Flight(4)
    bench.socket.close(bench.now)
    assert [s[2] for s in bench.out()] == [ACK | FIN]
    sent = bench.poll(100 + TAIL_MS)[0]
    assert [(s[0], len(s[4]), s[2]) for s in sent] == [(3002, 999, ACK | FIN)]
    assert bench.give(1, 4002, ACK, at=400) == []
    assert bench.socket.state == T.FIN_WAIT_2


# --- the timeout ---

def test_a_timeout_makes_lost_what_was_sent_a_round_trip_ago():
    bench = Flight(3, window=20)
    assert bench.waited(100 + TAIL_MS) == [2]
    assert bench.write(1, at=450) == [3]
    assert bench.write(1, at=590) == [4]
    assert bench.waited(100 + TAIL_MS + TIMEOUT_MS) == [0]
    # 0 is under way again and 4 is still; 1, 2 and 3 are lost.
    assert [run[3] & 2 for run in bench.socket._board.runs] == [0, 2, 2, 2, 0]
    assert bench.acked(1, at=780) == [1, 2]


def test_a_timeout_passes_what_the_peer_has():
    bench = Flight(6)
    assert bench.acked(0, 2, 4, at=200) == []
    assert bench.waited(225) == [0, 1]
    assert bench.waited(225 + TIMEOUT_MS) == [0]
    assert bench.acked(1, 4, 2, at=600) == [1, 3]
    assert bench.acked(3, 4, at=700) == [5]
    assert bench.acked(6, at=800) == []
    assert bench.socket._board is None
    assert bench.stack.counters == {"tcp_timeout": 1}


def test_a_timeout_within_a_recovery_does_not_reduce_twice():
    bench = Flight(16)
    assert bench.acked(0, (1, 4), at=200) == [0]
    assert bench.waited(200 + TIMEOUT_MS) == [0]
    congestion = bench.socket._congestion
    assert (congestion.window, congestion._threshold) == (SIZE, 8 * SIZE)


def test_sacks_after_a_timeout_tell_what_need_not_be_sent_again():
    bench = Flight(1, window=20)
    assert bench.write(1, at=250) == [1]
    assert bench.write(3, at=350) == [2, 3, 4]
    assert bench.waited(100 + TIMEOUT_MS) == [0]
    assert bench.socket._board is None
    assert bench.acked(1, 3, at=500) == [1, 2]
    assert bench.acked(2, (3, 5), at=600) == []
    assert bench.acked(5, at=601) == [] and bench.socket._board is None


def test_a_peer_that_takes_back_its_word_is_not_believed():
    bench = Flight(4)
    assert bench.acked(0, (1, 3), at=200) == []
    assert bench.acked(1, at=210) == []
    assert bench.waited(210 + bench.socket._trip.timeout_ms) == [1]
    assert bench.acked(2, at=700) == [2, 3]


# --- the window ---

def test_ten_segments_to_begin_with():
    # RFC 6928: but not more than ten of 1460 bytes, and two at least.
    for mss, window in ((536, 5360), (1460, 14600), (2760, 14600), (9000, 18000)):
        assert Congestion(mss, 65535, True).window == window


def test_an_ack_of_two_segments_lets_four_out():
    bench = Flight(4)
    assert bench.write(20) == []
    assert bench.acked(2, at=200) == [4, 5, 6, 7]


def test_the_window_grows_by_a_segment_for_each_that_was_acknowledged():
    congestion = Congestion(SIZE, 65535, True)
    congestion.window = congestion._threshold = 4 * SIZE
    for ack in range(4):
        congestion.acked(SIZE, 1 + SIZE * ack, 4 * SIZE)
    assert congestion.window == 5 * SIZE


def test_a_flow_without_troubles_has_no_scoreboard():
    bench = Flight(6)
    assert bench.acked(0, (1, 4), at=200) == [0]
    assert bench.socket._board is not None
    assert bench.acked(6, at=300) == []
    assert bench.socket._board is None
