"""What a controller hands out: addresses and a whole config (spec/controller.md 3, 4)."""

from mpcore.roles import ip_pool, issuing, records
from mpcore.vl1.identity import Identity
from mpcore.vl2 import config_text, exchange

_NETWORK = bytes.fromhex("e77cecac115881ef")


def _network(fields):
    return records.update_network(records.new_network(_NETWORK, 0), fields)


def _assign(address, network, used=(), assigned=(), no_auto=False):
    member = records.new_member(_NETWORK, bytes.fromhex(address), 0)
    member = records.update_member(member, {"ipAssignments": list(assigned),
                                            "noAutoAssignIps": no_auto}, 0)
    ips, new = ip_pool.assign(network, member, lambda text: text in used, bytes)
    return [".".join([str(b) for b in ip]) if len(ip) == 4 else ip.hex() for ip, _ in ips], \
        [bits for _, bits in ips], new


def _pool(start, end, target="10.0.0.0/8", more=()):
    return _network({"v4AssignMode": "zt", "routes": [{"target": target}] + list(more),
                     "ipAssignmentPools": [{"ipRangeStart": start, "ipRangeEnd": end}]})


def test_the_pool_examples_of_the_spec():
    wide = _pool("10.147.17.1", "10.147.17.254")
    assert _assign("f40c3b8ba1", wide)[0] == ["10.147.17.169"]
    assert _assign("28e8acd2fa", wide)[0] == ["10.147.17.91"]
    narrow = _pool("10.99.0.10", "10.99.0.20", "10.99.0.0/24")
    assert _assign("f40c3b8ba1", narrow) == (["10.99.0.11"], [24], ["10.99.0.11"])


def test_taken_addresses_are_stepped_over_and_wrap():
    pool = _pool("10.99.0.10", "10.99.0.20")
    taken = ["10.99.0.%d" % i for i in range(11, 20)]
    assert _assign("f40c3b8ba1", pool, taken)[0] == ["10.99.0.10"]
    # the end of a pool is never given out
    assert _assign("f40c3b8ba1", pool, taken + ["10.99.0.10"])[0] == []


def test_a_pool_of_one_and_addresses_ending_in_255():
    assert _assign("f40c3b8ba1", _pool("10.0.0.9", "10.0.0.9"))[0] == ["10.0.0.9"]
    assert _assign("0000000000", _pool("10.0.0.255", "10.0.1.2"))[0] == ["10.0.1.0"]


def test_a_pool_without_a_route_gives_nothing():
    assert _assign("f40c3b8ba1", _pool("10.99.0.10", "10.99.0.20", "10.98.0.0/24"))[0] == []


def test_assigned_addresses_take_the_longest_route_and_stop_the_pool():
    pool = _pool("10.99.0.10", "10.99.0.20", more=[{"target": "10.99.0.0/16"}])
    found = _assign("f40c3b8ba1", pool, assigned=["10.99.0.77", "192.168.0.1"])
    assert found == (["10.99.0.77"], [16], [])
    # one outside all routes is not sent, and does not stop the pool
    assert _assign("f40c3b8ba1", pool, assigned=["192.168.0.1"])[2] == ["10.99.0.11"]


def test_no_automatic_addresses_on_request():
    pool = _pool("10.99.0.10", "10.99.0.20")
    assert _assign("f40c3b8ba1", pool, assigned=["10.1.1.1"], no_auto=True)[0] == ["10.1.1.1"]
    assert _assign("f40c3b8ba1", pool, no_auto=True)[0] == []


def test_ipv6_schemes_come_first():
    network = _network({"v6AssignMode": "rfc4193,6plane"})
    assert _assign("f40c3b8ba1", network)[:2] == (
        ["fde77cecac115881ef9993f40c3b8ba1", "fcf6246d43f40c3b8ba1000000000001"], [88, 40])


def test_ipv6_pool():
    fields = {"v6AssignMode": "zt", "routes": [{"target": "fd00:1::/64"}], "ipAssignmentPools": [
        {"ipRangeStart": "fd00:1::", "ipRangeEnd": "fd00:1::ff:ffff:ffff"}]}
    wide = _assign("f40c3b8ba1", _network(fields))
    assert wide == (["fd000001000000000000" "00f40c3b8ba1"], [64], ["fd00:1::f4:c3b:8ba1"])
    taken = _assign("f40c3b8ba1", _network(fields), used=["fd00:1::f4:c3b:8ba1"])
    assert taken[2] == ["fd00:1::"]
    fields["routes"] = [{"target": "fd00:1::/64", "via": "fd00:1::1"}]
    assert _assign("f40c3b8ba1", _network(fields))[0] == []


def _identity(address, public, private=None):
    return Identity(bytes.fromhex(address), bytes.fromhex(public),
                    bytes.fromhex(private) if private else None)


def test_the_config_of_the_spec_to_the_last_bit():
    controller = _identity(
        "e77cecac11",
        "8111262024f2d2d71d408db3d40bcbd2bcbd58f8bf829a50ac6e109c31ae2872"
        "55e3627695c9b7a9e72c1e798807db8e938c93735263aac0e72309a170967309",
        "95d8e486b6df7c75f765372ce294fbcce7aa70c928b46ef28cc1ff384ecac0a3"
        "a83e786b96d6cfd7f15b28a0c88d91855257ad702e87c281c893e60a7c4e99af")
    holder = _identity(
        "28e8acd2fa",
        "b26670b6780ff6bb08b1d402b9fd0a09c50621665f84024ef0427a534dddc31f"
        "6b76ea4f77a9344cfcc344298ac77ef67a671608a094eab56964dab9b2ebc098")
    network = _network({
        "name": "lab", "v4AssignMode": {"zt": True}, "v6AssignMode": "rfc4193,6plane",
        "routes": [{"target": "10.147.17.0/24"}],
        "ipAssignmentPools": [{"ipRangeStart": "10.147.17.1", "ipRangeEnd": "10.147.17.254"}]})
    network["revision"] = 2
    member = records.new_member(_NETWORK, holder.address, 0)
    member, ips = issuing.complete(network, member, True, lambda text: False, bytes)
    assert member["ipAssignments"] == ["10.147.17.91"]
    made = issuing.make_config(controller, network, member, holder, ips, [], 0x1A2033807F3, 1)
    body, = exchange.split(_NETWORK, config_text.write(made), bytes.fromhex("1e78f86bcaad83ff"),
                           controller)
    assert len(body) == 1323
    # signing is deterministic, so this signature stands for all that was signed
    assert body[-96:].hex() == (
        "a703718c747b2e45a27323adecb1a9dc17549271168feefddf2adfc8a76f85158c3f20a18f7387e7d1769f56"
        "0e6b6b0b7db057b8c702f0e6d1beaa7c13978f088275a656462b79e8e7e5ac52491ed6ff0a00ceab70ebbdf7"
        "0251099d3660647f")
    assert config_text.read(config_text.write(made)).name == b"lab"


def test_the_window_of_credentials_is_kept_within_bounds():
    holder = controller = _identity("e77cecac11", "00" * 64, "11" * 64)
    member = records.new_member(_NETWORK, holder.address, 0)
    for wished, given in ((None, 1800000), (1, 300000), (10 ** 9, 7200000), (600000, 600000)):
        network = _network({})
        if wished is not None:
            network["certificateTimeoutWindowSize"] = wished
        made = issuing.make_config(controller, network, member, holder, [], [], 5, 1)
        assert made.credential_max_delta == given
