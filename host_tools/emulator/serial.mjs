// The board's USB serial port as a TCP socket of the loopback interface.

import net from 'node:net';
import { USBCDC } from 'rp2040js';

const MAX_PACKET = 64;

// rp2040js answers every poll of the OUT endpoint, with nothing if need be, and the firmware polls
// again: a storm of interrupts. A USB host answers only when it has something to say (NAK before).
export class SerialPort {
    constructor(pico) {
        this.pico = pico;
        this.toGuest = [];
        this.asked = 0;             // the guest waits for a packet of up to this many bytes
        this.onData = () => {};
        this.before = () => {};     // called before something from outside reaches the guest
        const usb = pico.rp2040.usbCtrl;
        const cdc = this.cdc = new USBCDC(usb);
        cdc.onSerialData = (bytes) => this.onData(Buffer.from(bytes));
        cdc.onDeviceConnected = () => { this.connected = true; };
        usb.onEndpointRead = (endpoint, size) => {
            if (endpoint === cdc.outEndpoint) {
                this.asked = size;
                this.#feed();
            }
        };
        this.connected = false;
    }

    write(bytes) {
        this.before();
        this.toGuest.push(bytes);
        this.#feed();
    }

    // What the guest has not taken yet.
    get pending() { return this.toGuest.reduce((sum, each) => sum + each.length, 0); }

    #feed() {
        if (!this.asked || !this.toGuest.length) return;
        const first = this.toGuest[0];
        const packet = first.subarray(0, Math.min(this.asked, MAX_PACKET));
        if (packet.length === first.length) this.toGuest.shift();
        else this.toGuest[0] = first.subarray(packet.length);
        this.asked = 0;
        this.pico.rp2040.usbCtrl.endpointReadDone(this.cdc.outEndpoint, new Uint8Array(packet));
    }
}

// Serves the port to one client at a time; resolves to the TCP port. What comes while nobody is
// connected goes to `unheard`.
export function serve(serial, unheard) {
    let client = null;
    const server = net.createServer((socket) => {
        if (client) client.destroy();
        client = socket;
        socket.setNoDelay(true);
        socket.on('data', (bytes) => serial.write(bytes));
        socket.on('error', () => {});
        socket.on('close', () => { if (client === socket) client = null; });
    });
    serial.onData = (bytes) => client ? client.write(bytes) : unheard(bytes);
    return new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(0, '127.0.0.1', () => resolve(server.address().port));
    });
}
