"""nmap looks at the station, and finds what is there."""

import xml.etree.ElementTree as ElementTree

import expert
from bench import STATION, Unmet, expect
from lab import run

TCP_PORTS = {7, 9, 11, 13, 19, 80}
UDP_PORTS = {7}


def _scan(*arguments):
    """nmap's findings about one host."""
    said = run("nmap", "-n", "-Pn", "--privileged", "-T4", "-oX", "-", *arguments)
    host = ElementTree.fromstring(said).find("host")
    if host is None:
        raise Unmet("nmap finds nobody")
    return host


def _ports(host):
    """{state: ports}, of the ports that nmap lists one by one."""
    found = {}
    for port in host.iter("port"):
        found.setdefault(port.find("state").get("state"), set()).add(int(port.get("portid")))
    return found


def syn_scan(bench):
    """Half-open connections to the first ports and those that nmap likes."""
    for family in (4, 6):
        host = _scan("-sS", "-p", "1-200,1024-1100,8080", f"-{family}", STATION[family])
        expect(_ports(host).get("open"), TCP_PORTS, "open ports")
        bench.serves(family)


def udp_scan(bench):
    """An open port and closed ones, which answer."""
    for family in (4, 6):
        host = _scan("-sU", "-p", "7,8,53,161", f"-{family}", STATION[family])
        expect(_ports(host), {"open": {7}, "closed": {8, 53, 161}}, "ports")
        bench.serves(family)


def odd_scans(bench):
    """FIN, NULL, Xmas, ACK, Maimon and IP protocol scans."""
    for kind in ("-sF", "-sN", "-sX", "-sA", "-sM"):
        _scan(kind, "-p", "1,7", "--max-retries", "0", STATION[4])
        bench.serves()
    _scan("-sO", "-p", "0-20", "--max-retries", "0", STATION[4])
    bench.serves()


def fragmented_scan(bench):
    """Headers in fragments of 8 bytes."""
    host = _scan("-sS", "-f", "-p", "1-20", STATION[4])
    expect(_ports(host).get("open"), {7, 9, 11, 13, 19}, "open ports")
    bench.serves()


def system(bench):
    """What the stack looks like."""
    host = _scan("-O", "--osscan-limit", "--max-os-tries", "1", "-p", "1,7", STATION[4])
    bench.serves()
    figures = {}
    for name in ("tcpsequence", "ipidsequence"):
        found = host.find(name)
        if found is not None:
            figures[name] = {key: found.get(key) for key in ("class", "difficulty", "index")
                             if found.get(key)}
    return figures


def judge(capture):
    """What the station said to all that was well formed."""
    expect(expert.broken(capture), [], "the expert's remarks")


CASES = [syn_scan, udp_scan, odd_scans, fragmented_scan, system]
