// The board's USB serial port as a pseudo-terminal. mpremote waits 10 ms before each look at any
// other kind of port, which makes a copy of many files take minutes.

import fs from 'node:fs';
import tty from 'node:tty';
import { USBCDC } from 'rp2040js';

const MAX_PACKET = 64;
const UNREAD = 65536;         // bytes kept for a terminal that nobody reads
const RETRY_MS = 2;

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
        usb.onEndpointRead = (endpoint, size) => {
            if (endpoint === cdc.outEndpoint) {
                this.asked = size;
                this.#feed();
            }
        };
    }

    write(bytes) {
        this.before();
        this.toGuest.push(bytes);
        this.#feed();
    }

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

// Couples the port to a pseudo-terminal's master, which must not block. What the terminal's user
// does not read in time is lost, as with any serial port.
export function attach(serial, fd, hear) {
    let unread = Buffer.alloc(0), retry = null;

    function pass() {
        retry = null;
        while (unread.length) {
            try {
                unread = unread.subarray(fs.writeSync(fd, unread));
            } catch (error) {
                if (error.code !== 'EAGAIN') throw error;
                retry = setTimeout(pass, RETRY_MS);
                return;
            }
        }
    }

    serial.onData = (bytes) => {
        hear(bytes);
        unread = Buffer.concat([unread, bytes]).subarray(-UNREAD);
        if (retry === null) pass();
    };
    new tty.ReadStream(fd).on('data', (bytes) => serial.write(bytes)).on('error', () => {});
}
