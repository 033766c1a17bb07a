"""Addresses derived from a network ID, against the real implementation's (spec/vl2-frames.md)."""

from mpcore.vl2 import addressing
from tests.core.support import vectors

_VECTORS = vectors("addressing.json")


def _mac(text):
    return bytes.fromhex(text.replace(":", ""))


def test_mac_and_back():
    for case in _VECTORS["mac"]:
        network_id, address = bytes.fromhex(case["network_id"]), bytes.fromhex(case["address"])
        mac = addressing.mac_of(network_id, address)
        assert mac == _mac(case["mac"]), case
        assert addressing.address_of(network_id, mac) == bytes.fromhex(case["back"])


def test_first_octet_of_every_low_byte():
    octets = bytes.fromhex(_VECTORS["mac_first_octet_by_low_byte"])
    for low in range(256):
        assert addressing.first_octet(bytes(7) + bytes((low,))) == octets[low]


def test_ipv6_schemes():
    for case in _VECTORS["ipv6"]:
        network_id, address = bytes.fromhex(case["network_id"]), bytes.fromhex(case["address"])
        assert addressing.sixplane(network_id, address) == bytes.fromhex(case["sixplane"]), case
        assert addressing.rfc4193(network_id, address) == bytes.fromhex(case["rfc4193"]), case
        assert addressing.controller_of(network_id) == bytes.fromhex(case["controller"])


def test_address_resolution_groups():
    for case in _VECTORS["address_resolution_group"]:
        if ":" in case["ip"]:
            continue
        ip = bytes([int(part) for part in case["ip"].split(".")])
        group = addressing.resolution_group(ip)
        assert group == _mac(case["mac"]) + bytes.fromhex(case["adi_hex"]), case


def test_solicited_node_group():
    ip = bytes.fromhex("20010db8000100020003000400050006")
    assert addressing.resolution_group(ip) == bytes.fromhex("3333ff050006" "00000000")
