"""The runner of MicroPython's socket tests, with small tests of the same shapes."""

import pytest

from host_tools.conformance.runner import FAIL, PASS, SKIP, Runner, find_tests
from host_tools.conformance.scene import IDENTITIES, NAME, Scene
from tests.core.scenes import identity

FILES = {
    # Two instances; what is expected is what CPython prints. The port is a free one: the platform
    # has it too, and tests beside this one run the same file.
    "multi_net/echo.py": '''
import socket

def instance0():
    s = socket.socket()
    s.bind(socket.getaddrinfo("0.0.0.0", 0)[0][-1])
    s.listen(1)
    multitest.globals(IP=multitest.get_network_ip(), PORT=s.getsockname()[1])
    multitest.next()
    multitest.wait("sent")
    s2, _ = s.accept()
    s2.send(s2.recv(100).upper())
    s2.close()
    s.close()

def instance1():
    multitest.next()
    s = socket.socket()
    s.connect(socket.getaddrinfo(IP, PORT)[0][-1])
    s.send(b"over there")
    multitest.broadcast("sent")
    print(s.recv(100))
    multitest.output_metric("one round trip")
    s.close()
''',
    # The address is that of the virtual network.
    "multi_net/address.py": '''
def instance0():
    print(multitest.get_network_ip() == nic.ifconfig()[0] != "127.0.0.1")
    multitest.next()

def instance1():
    multitest.next()
    print(multitest.get_network_ip()[:8])
''',
    "multi_net/address.py.exp": "--- instance0 ---\nTrue\n--- instance1 ---\n10.73.1.\n",
    "multi_net/skips.py": "def instance0():\n    multitest.skip()\n",
    # The first is over before the second starts, which still talks to it.
    "multi_net/early.py": '''
def instance0():
    raise OSError("no luck")

def instance1():
    multitest.next()
    for i in range(3):
        multitest.broadcast("anybody?")
    print("alone")
''',
    "multi_net/early.py.exp": "--- instance0 ---\nluck\n--- instance1 ---\nalone\n",
    "multi_net/wrong.py": "def instance0():\n    multitest.next()\n    print('this')\n",
    "multi_net/wrong.py.exp": "--- instance0 ---\nthat\n",
    "net_hosted/name.py": f'''
import socket
s = socket.socket()
s.settimeout(20)
s.connect(socket.getaddrinfo("{NAME}", 80)[0][-1])
print(s.getpeername()[0][:8])
s.close()
''',
    "net_hosted/name.py.exp": "10.73.1.\n",
    "extmod/socket_raises.py": "import socket\nsocket.socket().recv(1)\n",
    "extmod/socket_raises.py.exp": "nothing\n",
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    directory = tmp_path_factory.mktemp("conformance")
    for name, text in FILES.items():
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.lstrip())
    identities = [identity(i) for i in range(IDENTITIES)]
    with Scene(directory / "nodes", identities) as scene:
        runner = Runner(scene.member)
        return {path.stem: runner.run(group, path) for group, path in find_tests(directory)}


@pytest.mark.parametrize("name, outcome, stock", [
    ("echo", PASS, ""), ("address", PASS, ""), ("name", PASS, ""), ("skips", SKIP, SKIP),
    ("wrong", FAIL, FAIL), ("early", FAIL, FAIL), ("socket_raises", FAIL, FAIL)])
def test_outcomes(results, name, outcome, stock):
    result = results[name]
    assert (result.outcome, result.stock) == (outcome, stock), (result.output, result.expected)


def test_what_was_printed_is_kept(results):
    assert results["echo"].expected == results["echo"].output == (
        "--- instance0 ---\n\n--- instance1 ---\nb'OVER THERE'\n")
    assert results["echo"].metrics == ["one round trip"]
    assert results["wrong"].output == "--- instance0 ---\nthis\n"
    assert "no luck" in results["early"].output and "alone" in results["early"].output
    assert "TIMEOUT" not in results["early"].output
    assert "ENOTCONN" in results["socket_raises"].output


def test_a_directory_without_tests(tmp_path):
    with pytest.raises(ValueError, match="checkout of MicroPython"):
        find_tests(tmp_path)
