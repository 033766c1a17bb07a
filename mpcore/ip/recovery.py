"""What a sender does about losses when the peer sends SACKs: RACK-TLP (RFC 8985).

The rest of Sender, loaded with a connection's first loss: its scoreboard tells what is lost, here
that is sent again, as far as the congestion window allows. A sender has a scoreboard from the
first sign of a loss until all has arrived that was in flight then; before that, and after it, this
takes no part.

Deviations from RFC 8985: a probe of a flight's tail never is new data, and there is none for less
than two full segments, so that those who send little have no more timers; what counts as the least
round trip is that since the scoreboard is there.
"""

from mpcore.ip import options
from mpcore.ip.scoreboard import Scoreboard


def scoreboard(sender, now):
    """The sender's scoreboard; from now on it has one."""
    board = sender._board
    if board is None:
        una, nxt = sender.snd_una, sender.snd_nxt
        trip_ms = sender._trip.smoothed()
        board = sender._board = Scoreboard(una, sender._snd_max,
                                           min(sender._sent_ms, now - trip_ms), trip_ms,
                                           sender._congestion.patience, sender.send_ring)
        if nxt < sender._snd_max:
            # After a timeout all is being sent again, so far up to there.
            board.lose_all()
            board.sent_again(sender._sent_ms, una, nxt)
            sender.snd_nxt = sender._snd_max
    return board


def judge(sender, now, ack, advanced, buf, at):
    """What a segment that acknowledges up to `ack` tells. advanced: that is new; the value of its
    SACK option is at buf[at:], at None: it has none."""
    una, highest = sender.snd_una, sender._snd_max
    board, congestion = scoreboard(sender, now), sender._congestion
    news = at is not None and board.take(now, options.read_sacks(buf, at), ack, una,
                                         sender.wire[0] + una, highest)
    if board.doubled is not None:
        congestion.arrived_twice(*board.doubled)
    tail = board.tail
    if tail is not None and una >= tail:
        # What follows tells whether the probe has repaired a loss (RFC 8985 7.4.2).
        if una > tail:
            board.tail = None
            if una >= congestion.recover:
                congestion.lost(una, highest)
        elif ack == una and not advanced and not news:
            board.tail = None
    _find_lost(sender, now)
    if board.healed(una, congestion.recover):
        congestion.patience = board.patience
        sender._board = None


def repair(sender, now, limit):
    """Send what is lost as far as the window allows; returns the limit of what may be in flight,
    counted without what has left the network."""
    board, una = sender._board, sender.snd_una
    flight = sender._snd_max - una
    while True:
        lost = board.first_lost(sender._mss)
        room = limit - flight + board.away()
        if lost is None:
            return flight + room
        start, end = lost
        # The first segment is sent whatever the window is: that is what recovery begins with.
        if room < end - start and not sender._urgent:
            return flight
        sender._urgent = False
        _repeat(sender, now, start, end)
        if start == una:
            sender._arm(now)
            _await_late(sender)


def timed_out(sender, now):
    """The retransmission timer of a sender with a scoreboard ran out."""
    sender._board.timed_out(now)
    sender._urgent = True


def look_early(sender, now):
    """The timer ran out before the timeout: for segments that may be lost by now, or for the tail
    of a flight. Returns whether it is the timeout already."""
    trip = sender._trip
    if sender._board is not None:
        sender._arm(now)
        _find_lost(sender, now)
        sender._output(now)
        return False
    timeout_ms = sender._progress_ms + trip.timeout_ms
    due_ms = sender._sent_ms + trip.tail_ms
    if due_ms >= timeout_ms or sender._snd_max - sender.snd_una <= sender._mss:
        due_ms = timeout_ms
        sender._early = False
        if now >= timeout_ms:
            return True
    elif now >= due_ms:
        _probe_tail(sender, now)
        return False
    sender._rtx_ms = due_ms
    sender._stack.schedule(due_ms)
    return False


def _probe_tail(sender, now):
    """Send the last segment again: the answer shows what is lost of the flight."""
    sender._stack.count("tcp_tail_probe")
    highest = sender._snd_max
    scoreboard(sender, now).tail = highest
    _repeat(sender, now, max(sender.snd_una, highest - sender._mss), highest)
    sender._arm(now)


def _find_lost(sender, now):
    """Begin a recovery if more is lost by now, and see when to look again."""
    board, congestion, una = sender._board, sender._congestion, sender.snd_una
    repairing = una < congestion.recover
    if board.find_lost(now, sender._mss, repairing) and not repairing:
        congestion.lost(una, sender._snd_max)
        board.tail = None
        sender._urgent = True
    _await_late(sender)


def _await_late(sender):
    """Have the timer run out when what is late counts as lost."""
    due_ms = sender._board.due_ms
    if due_ms is not None:
        sender._early = True
        sender._rtx_ms = due_ms
        sender._stack.schedule(due_ms)


def _repeat(sender, now, start, end):
    sender._congestion.repeated += end - start
    sender._board.sent_again(now, start, end)
    sender._retransmit(now, start, end - start)
