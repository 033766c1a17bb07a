// A network interface on the guest's bus: UDP datagrams between the guest and sockets of the
// host's loopback interface. The guest's side is guest/emulated.py; registers are 32 bits wide.

import dgram from 'node:dgram';
import { BasePeripheral } from 'rp2040js';

export const NIC_ADDRESS = 0x40070000;

const RAM = 0x20000000;
const FIRST_FREE_PORT = 49152;
const LOOPBACK = 0x7f000001;
const LONGEST = 1472;       // no fragments, as boards have it
const REGISTERS = {
    STATUS: 0x00,       // r: 1: the link is up
    RX_LENGTH: 0x04,    // r: of the first datagram in the queue of SOCKET, 0 for none
    RX_PORT: 0x08,      // r: its source port
    RX_TAKE: 0x0c,      // w: address to copy it to; it leaves the queue
    TX_LENGTH: 0x10,    // w
    TX_PORT: 0x14,      // w: destination port
    TX_ADDRESS: 0x18,   // w: destination address, as a big-endian number
    TX_SEND: 0x1c,      // w: address of the data; sends it
    SOCKET: 0x20,       // rw: which socket the registers are about
    BIND: 0x24,         // w: a port (0: any) opens a socket; r: its port, 0 while it opens
    CLOSE: 0x28,        // w: closes SOCKET
    RESET: 0x2c,        // w: closes all sockets
    RX_ADDRESS: 0x30,   // r: the source address of that datagram, as a big-endian number
    CYCLES: 0x40,       // r: cycles executed, modulo 2**30
    MARK: 0x44,         // w: tells the host this number and the time
    ASKED: 0x48,        // r: 1 once after the host has asked to be told of the memory
};
const byOffset = Object.fromEntries(Object.entries(REGISTERS).map(([name, at]) => [at, name]));

export class Nic extends BasePeripheral {
    // tell(facts): what the host is to know. queue: datagrams that wait for the guest, a socket.
    // carry(from, to, address, data): where datagrams go instead of the loopback interface.
    constructor(pico, tell, queue, carry = null) {
        super(pico.rp2040, 'NIC');
        this.pico = pico;
        this.tell = tell;
        this.queueLimit = queue;
        this.carry = carry;
        this.link = true;
        this.sockets = [];
        this.current = 0;
        this.counters = { received: 0, sent: 0, overflowed: 0, cut: 0, refused: 0 };
        this.asked = 0;
        this.arrival = { cycles: 0, nanos: 0 };     // of the datagram taken last
        this.registers = {};
        this.before = () => {};     // called before something from outside reaches the guest
        pico.addPeripheral(NIC_ADDRESS, this);
    }

    readUint32(offset) {
        const socket = this.sockets[this.current];
        const first = socket && socket.queue[0];
        switch (byOffset[offset]) {
            case 'STATUS': return this.link ? 1 : 0;
            case 'RX_LENGTH': return first ? first.data.length : 0;
            case 'RX_PORT': return first ? first.port : 0;
            case 'RX_ADDRESS': return first ? first.address : 0;
            case 'SOCKET': return this.current;
            case 'BIND': return socket ? socket.port : 0;
            case 'CYCLES': return this.pico.cycles % 2 ** 30;
            case 'ASKED': {
                const asked = this.asked;
                this.asked = 0;
                return asked;
            }
        }
        return 0;
    }

    writeUint32(offset, value) {
        const name = byOffset[offset];
        const socket = this.sockets[this.current];
        switch (name) {
            case 'SOCKET': this.current = value; break;
            case 'BIND': this.#open(value); break;
            case 'CLOSE': this.#close(this.current); break;
            case 'RESET': this.#reset(); break;
            case 'RX_TAKE': {
                const { data, cycles, nanos } = socket.queue.shift();
                this.arrival = { cycles, nanos };
                this.pico.rp2040.sram.set(data, value - RAM);
                this.counters.received++;
                break;
            }
            case 'TX_SEND': this.#send(socket, value); break;
            case 'MARK': this.tell({ event: 'mark', mark: value, ...this.now() }); break;
            default: this.registers[name] = value >>> 0;
        }
    }

    now() {
        return { cycles: this.pico.cycles, nanos: Math.round(this.pico.clock.nanos),
                 since_rx_cycles: this.pico.cycles - this.arrival.cycles,
                 since_rx_nanos: Math.round(this.pico.clock.nanos - this.arrival.nanos) };
    }

    // A datagram for the guest.
    deliver(socket, data, port, address = LOOPBACK) {
        this.before();
        if (!this.link || data.length > LONGEST) {
            this.counters.cut++;
        } else if (socket.queue.length >= this.queueLimit) {
            this.counters.overflowed++;
        } else {
            socket.queue.push({ data, port, address, cycles: this.pico.cycles,
                                nanos: this.pico.clock.nanos });
            this.pico.wake();
        }
    }

    setLink(up) {
        this.link = up;
        if (!up) for (const socket of this.sockets) if (socket) socket.queue.length = 0;
    }

    #reset() {
        for (const index of this.sockets.keys()) this.#close(index);
    }

    #open(port) {
        const socket = { port: 0, queue: [] };
        const free = this.sockets.findIndex((each) => !each);
        this.current = free < 0 ? this.sockets.length : free;
        const index = this.current;
        this.sockets[index] = socket;
        if (this.carry) {
            socket.port = port || FIRST_FREE_PORT + index;
            return;
        }
        socket.udp = dgram.createSocket('udp4');
        socket.udp.on('error', (error) => {
            this.tell({ event: 'error', error: `UDP port ${port}: ${error.message}` });
            this.#close(index);
        });
        socket.udp.on('message', (data, from) => this.deliver(socket, data, from.port));
        socket.udp.bind(port, '127.0.0.1', () => {
            this.before();
            socket.port = socket.udp.address().port;
            this.pico.wake();
        });
    }

    #close(index) {
        const socket = this.sockets[index];
        this.sockets[index] = null;
        socket?.udp?.close();
    }

    #send(socket, address) {
        const { TX_LENGTH: length, TX_PORT: port, TX_ADDRESS: ip } = this.registers;
        if (!this.link) {
            this.counters.cut++;
        } else if (length > LONGEST || !socket || !this.carry && ip >>> 24 !== 127) {
            this.counters.refused++;        // this network is the loopback interface
        } else {
            const data = Buffer.from(this.pico.rp2040.sram.slice(address - RAM,
                                                                 address - RAM + length));
            this.counters.sent++;
            if (this.carry) return this.carry(socket.port, port, ip, data);
            const host = [24, 16, 8, 0].map((shift) => ip >>> shift & 255).join('.');
            socket.udp.send(data, port, host, () => {});
        }
    }
}
