/* What the libzt wheel's extension leaves undefined outside a CPython 3.9, a way round a fault of
 * its, and an ear. Loaded before it, with its names for all to see.
 *
 * LinuxNetLink watches the host's routes, which libzt does not use; the time functions serve the
 * Python half of the module, which nobody calls here. */

#include <stdlib.h>

void _ZN8ZeroTier12LinuxNetLinkC1Ev(void *self) { (void)self; }
void _ZN8ZeroTier12LinuxNetLinkD1Ev(void *self) { (void)self; }
void _ZN8ZeroTier12LinuxNetLink8delRouteERKNS_11InetAddressES3_S3_PKc(void) { }

int _PyTime_AsTimeval(void) { return -1; }
int _PyTime_AsTimeval_noraise(void) { return -1; }
int _PyTime_FromSecondsObject(void) { return -1; }
long long _PyTime_GetMonotonicClock(void) { return 0; }

/* Every Ethernet frame that libzt's node has for its IP stack passes here. Those with IPv6 lwIP
 * would handle at once and without its lock, which the threads that use sockets do not survive:
 * they are queued for lwIP's own thread. And as this lwIP has no raw sockets, `heard` is shown
 * what it asked for: ICMP, or everything. */

enum { NOTHING, ICMP, EVERYTHING };
enum { IPV4 = 0x0800, IPV6 = 0x86dd };

void (*libzt_frame)(void *, const void *, const void *, unsigned, const void *, unsigned);
signed char (*libzt_ethernet_input)(void *packet, void *interface);
signed char (*libzt_tcpip_try_callback)(void (*)(void *), void *);
void (*heard)(unsigned ethertype, const void *payload, unsigned length);
int hears = NOTHING;
static __thread int handles_ipv6;

static int is_icmp(unsigned ethertype, const unsigned char *packet, unsigned length)
{
    return (ethertype == IPV4 && length > 9 && packet[9] == 1)
        || (ethertype == IPV6 && length > 6 && packet[6] == 58);
}

void _ZN8ZeroTier15zts_lwip_eth_rxEPNS_10VirtualTapERKNS_3MACES4_jPKvj(
    void *tap, const void *from, const void *to, unsigned ethertype, const void *payload,
    unsigned length)
{
    if (hears == EVERYTHING || (hears == ICMP && is_icmp(ethertype, payload, length)))
        heard(ethertype, payload, length);
    handles_ipv6 = ethertype == IPV6;
    libzt_frame(tap, from, to, ethertype, payload, length);
    handles_ipv6 = 0;
}

struct queued {
    void *packet, *interface;
};

static void input(void *from_queue)
{
    struct queued *one = from_queue;
    libzt_ethernet_input(one->packet, one->interface);
    free(one);
}

signed char ethernet_input(void *packet, void *interface)
{
    if (!handles_ipv6)
        return libzt_ethernet_input(packet, interface);
    struct queued *one = malloc(sizeof *one);
    *one = (struct queued){packet, interface};
    signed char error = libzt_tcpip_try_callback(input, one);
    if (error)
        free(one);
    return error;
}
