"""Questions to the node, over a Unix socket of each thread's own.

A request is one message, JSON [verb, {fields}], with at most one descriptor; so is its answer,
{fields}, in which "error" is an error number to be raised.
"""

import _socket      # beneath what install() replaces
import array
import errno
import json
import os
import threading

MESSAGE_BYTES = 4096        # the longest request or answer

path = None                 # of the node's Unix socket
_local = threading.local()


class _Line:
    def __init__(self):
        self.process = os.getpid()      # a forked child needs its own,
        self.path = path                # and so does whoever has another node now
        self.socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        self.socket.settimeout(None)
        self.socket.connect(path)

    def __del__(self):
        self.socket.close()

    def ask(self, request, descriptors):
        self.socket.sendmsg([request], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS,
                                         array.array("i", descriptors))] if descriptors else [])
        return receive(self.socket)


def ask(verb, descriptor=None, **fields):
    """(answer, descriptor or None). Raises the OSError that the node answers; ENETDOWN when it is
    gone."""
    try:
        line = getattr(_local, "line", None)
        if line is None or line.process != os.getpid() or line.path != path:
            line = _local.line = _Line()
        answer, received = line.ask(json.dumps([verb, fields]).encode(),
                                    [] if descriptor is None else [descriptor])
    except OSError as error:
        _local.line = None
        raise OSError(errno.ENETDOWN, "the Filament node is gone") from error
    except BaseException:       # a signal's handler: the answer, still to come, must not be taken
        _local.line = None      # for that to the next question
        raise
    if answer.get("error"):
        raise failure(answer["error"])
    return answer, received


def receive(sock):
    """(object, descriptor or None): the next message. Raises OSError when there will be none."""
    data, ancillary, _, _ = sock.recvmsg(MESSAGE_BYTES, _socket.CMSG_SPACE(4))
    descriptor = None
    for level, kind, content in ancillary:
        if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS):
            descriptor = int.from_bytes(content[:4], "little" if _little else "big")
            os.set_inheritable(descriptor, False)
    if not data:
        raise OSError(errno.ENETDOWN, "the Filament node is gone")
    return json.loads(data), descriptor


_little = array.array("i", [1]).tobytes()[0] == 1


def failure(number):
    """The OSError of an error number, of the class that belongs to it."""
    return OSError(number, os.strerror(number))
