"""`filament dns` and `filament lookup`: names on the virtual networks.

What records say is put into words by dnspython.
"""

import dns.exception
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import rich_click as click

from host_tools import home, remote
from host_tools.command import home_option, json_option, say
from host_tools.serve import network_fields

_PATIENCE_S = 90            # longer than any search takes


@click.command("dns")
@click.argument("domain", required=False)
@click.argument("servers", nargs=-1, metavar="[IP]...")
@home_option
@click.option("--network", "nwid", default=None, metavar="NWID", help="If there are several.")
@click.option("--clear", is_flag=True, help="Let the network have no DNS any more.")
@json_option
def set_dns(domain, servers, directory, nwid, clear, as_json):
    """Have members ask the servers at these IPs, at most 4, for names in DOMAIN.

    For a network of a running `filament serve`. Without arguments it shows what is set.
    """
    if clear and domain or not clear and bool(domain) != bool(servers):
        raise ValueError("a domain and its servers are needed, or --clear, or nothing")
    control = remote.Control(directory)
    nwid = control.network(nwid)
    home.network_id(nwid)
    if domain or clear:
        record = control.post(f"/controller/network/{nwid}",
                              network_fields(dns=(domain, servers)))
    else:
        (record,) = [each for each in control.get("/controller/network") if each["id"] == nwid]
    known = record["dns"]
    say(as_json, known, f"{nwid}: " + (f"names in {known['domain']} are asked of "
                                       + ", ".join(known["servers"]) if known else "no DNS"))


@click.command()
@click.argument("name")
@home_option
@click.option("--type", "kind", default="A", show_default=True,
              help="Type of the records, such as AAAA, PTR, SRV or TXT.")
@json_option
def lookup(name, directory, kind, as_json):
    """Look up NAME from a running node: in the DNS of its networks, or .local by mDNS."""
    try:
        number = dns.rdatatype.from_text(kind)
        found = remote.Control(directory).post("/lookup", {"name": name, "type": int(number)},
                                               _PATIENCE_S)["data"]
        texts = [_text(number, bytes.fromhex(data)) for data in found]
    except dns.exception.DNSException as error:
        raise ValueError(str(error)) from error
    say(as_json, {"name": name, "type": kind, "records": texts}, "\n".join(texts))


def _text(number, data):
    return dns.rdata.from_wire(dns.rdataclass.IN, number, data, 0, len(data)).to_text()
