/* What the libzt wheel's extension leaves undefined outside a CPython 3.9, and an ear for ICMP.
 * Loaded before it, with its names for all to see.
 *
 * LinuxNetLink watches the host's routes, which libzt does not use; the time functions serve the
 * Python half of the module, which nobody calls here. */

void _ZN8ZeroTier12LinuxNetLinkC1Ev(void *self) { (void)self; }
void _ZN8ZeroTier12LinuxNetLinkD1Ev(void *self) { (void)self; }
void _ZN8ZeroTier12LinuxNetLink8delRouteERKNS_11InetAddressES3_S3_PKc(void) { }

int _PyTime_AsTimeval(void) { return -1; }
int _PyTime_AsTimeval_noraise(void) { return -1; }
int _PyTime_FromSecondsObject(void) { return -1; }
long long _PyTime_GetMonotonicClock(void) { return 0; }

/* libzt's lwIP has no raw sockets, so nobody could see an echo reply. Its own calls of icmp_input
 * come here first, where a message that lies in one piece is shown to `heard`. */

struct pbuf {
    struct pbuf *next;
    void *payload;
    unsigned short total, length;
};

void (*libzt_icmp_input)(struct pbuf *, void *);
void (*heard)(const void *message, int length);

void icmp_input(struct pbuf *message, void *interface)
{
    if (heard)
        heard(message->payload, message->length);
    libzt_icmp_input(message, interface);
}
