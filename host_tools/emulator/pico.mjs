// A Raspberry Pi Pico W as far as stock MicroPython needs it: rp2040js, and what that leaves out.
//
// No Wi-Fi chip: network.WLAN and Pin("LED") of the firmware find nothing; see nic.mjs.

import { BasePeripheral, RP2040 } from 'rp2040js';

const RUN_STEPS = 100000;
const UF2_BLOCK = 512;
const RAM = 0x20000000;
const FLASH = 0x10000000;
const FLASH_BYTES = 2 << 20;
const SECTOR = 4096;
const VECTORS = 0x10000100;         // of the firmware, after the second stage of its boot loader

// Where main() of the firmware has the bounds of its heap, after the top of its stack.
const RAM_TOP = 0x20042000, HEAP_END = 0x20040000;
const ROOMY_HEAP = 0x20080000;      // where no board has memory
const STACK_BYTES = 0x1f00, ROOMY_STACK_BYTES = 0x7f00;     // as the firmware checks it

const WATCHDOG = 0x40058;
const ROSC = 0x40060;
const ROSC_STATUS = 0x18;
const ROSC_STABLE = 0x80000000 | 0x1000;
const ROSC_RANDOM_BIT = 0x1c;

// The boot ROM's routines for the flash chip, by their codes in its table of functions. The chip
// is not there to be talked to, so each is replaced by a break with its own number.
const FLASH_ROUTINES = ['IF', 'EX', 'RE', 'RP', 'FC', 'CX'];
const BKPT = 0xbe00;
const RETURN = 0x4770;              // bx lr
const FUNCTION_TABLE = 0x14;

// Random bits that repeat with the seed: right for a measurement, never for keys that matter.
class RingOscillator extends BasePeripheral {
    constructor(rp2040, seed) {
        super(rp2040, 'ROSC');
        this.state = seed >>> 0;
    }

    readUint32(offset) {
        if (offset === ROSC_RANDOM_BIT) {               // mulberry32
            this.state = (this.state + 0x6d2b79f5) >>> 0;
            let t = this.state;
            t = Math.imul(t ^ (t >>> 15), t | 1);
            t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
            return (t ^ (t >>> 14)) & 1;
        }
        return offset === ROSC_STATUS ? ROSC_STABLE >>> 0 : 0;
    }

    writeUint32() {}
}

export class Pico {
    // firmware: UF2. bootrom: 16 KiB. flash: an image of the whole chip from saveFlash(), or null.
    // more: further UF2 files, which are written after the others.
    // heap: null for the board's own, or bytes, to measure what does not fit onto the board: the
    // firmware's heap then lies in memory that no Pico has, and its stack has the heap's place.
    constructor(firmware, bootrom, seed, flash = null, heap = null, more = []) {
        const rp2040 = this.rp2040 = new RP2040();
        rp2040.logger = { debug() {}, info() {}, warn() {}, error() {} };
        this.clock = rp2040.clock;
        rp2040.peripherals[ROSC] = new RingOscillator(rp2040, seed);
        rp2040.loadBootrom(patched(bootrom));
        rp2040.onBreak = (number) => this.#flashRoutine(FLASH_ROUTINES[number]);
        this.end = this.#program(firmware);
        if (flash) rp2040.flash.set(flash.subarray(this.end), this.end);
        for (const uf2 of more) this.#program(uf2);
        this.growStack = heap !== null;
        if (heap !== null) this.#moveHeap(heap);
        for (const pin of rp2040.gpio) {        // a pin that is an output reads what it puts out
            pin.addListener((state) => { if (state < 2) pin.setInputValue(state === 1); });
        }
        rp2040.core.VTOR = VECTORS;
        rp2040.core.reset();
    }

    get cycles() { return this.rp2040.core.cycles; }

    addPeripheral(address, peripheral) {
        this.rp2040.peripherals[(address >>> 14) << 2] = peripheral;
    }

    onPin(number, callback) {
        this.rp2040.gpio[number].addListener((state) => callback(state === 1 ? 1 : 0));
    }

    // machine.reset() and the like, after which the firmware waits for ever.
    onReset(callback) {
        this.rp2040.peripherals[WATCHDOG].onWatchdogTrigger = callback;
    }

    // Ends a wait for an event, as an interrupt would.
    wake() {
        this.rp2040.core.eventRegistered = true;
        this.rp2040.core.waiting = false;
    }

    // Runs at most `steps` instructions, or until the guest's clock shows `until` ns. Returns true
    // when the guest waits for an interrupt that is still to come; idle() then moves its clock.
    run(steps, until = Infinity) {
        if (this.growStack) this.growStack = !this.#growStack();
        const { core } = this.rp2040;
        const { clock } = this;
        const cycleNanos = 1e9 / this.rp2040.clkSys;
        for (let i = 0; i < steps; i++) {
            if (core.waiting) return true;
            if (clock.nanosCounter >= until) return false;
            // Not what executeInstruction() returns: that leaves out the waits for peripherals.
            const before = core.cycles;
            core.executeInstruction();
            const nanos = (core.cycles - before) * cycleNanos;
            const target = clock.nanosCounter + nanos;
            if (clock.nextAlarm !== null && clock.nextAlarm.nanos <= target) clock.tick(nanos);
            else clock.nanosCounter = target;
        }
        return false;
    }

    // Runs until the guest's clock has come to `nanos`, waits included.
    runUntil(nanos) {
        const { clock } = this;
        while (clock.nanos < nanos) {
            if (!this.run(RUN_STEPS, nanos)) continue;
            this.idle(Math.min(this.nanosToAlarm, nanos - clock.nanos));
        }
    }

    // Nanoseconds until something happens by itself while the guest waits.
    get nanosToAlarm() {
        return this.clock.nextAlarm === null ? Infinity : this.clock.nanosToNextAlarm;
    }

    idle(nanos) { this.clock.tick(nanos); }

    // The chip's content; what the firmware takes of it is not read again.
    saveFlash() { return this.rp2040.flash.subarray(0, FLASH_BYTES); }

    // Returns where the flash goes on after it.
    #program(uf2) {
        let end = 0;
        for (let at = 0; at + UF2_BLOCK <= uf2.length; at += UF2_BLOCK) {
            const block = uf2.subarray(at, at + UF2_BLOCK);
            if (block.readUInt32LE(0) !== 0x0a324655) throw new Error('not an UF2 file');
            const address = block.readUInt32LE(12), size = block.readUInt32LE(16);
            this.rp2040.flash.set(block.subarray(32, 32 + size), address - FLASH);
            end = Math.max(end, address - FLASH + size);
        }
        return end;
    }

    #moveHeap(bytes) {
        const { rp2040 } = this;
        rp2040.sram = new Uint8Array(ROOMY_HEAP - RAM + bytes);
        rp2040.sramView = new DataView(rp2040.sram.buffer);
        const word = (at) => rp2040.flashView.getUint32(at, true);
        for (let at = 0; at < this.end; at += 4) {
            if (word(at) === RAM_TOP && word(at + 8) === HEAP_END) {
                this.staticBytes = word(at + 4) - RAM;
                rp2040.flashView.setUint32(at + 4, ROOMY_HEAP, true);
                rp2040.flashView.setUint32(at + 8, ROOMY_HEAP + bytes, true);
                return;
            }
        }
        throw new Error('no heap found in this firmware');
    }

    // The interpreter's state has the top of the stack and, after it, how deep it may become.
    #growStack() {
        const { sramView } = this.rp2040;
        for (let at = 0; at < this.staticBytes; at += 4) {
            if (sramView.getUint32(at, true) === STACK_BYTES &&
                sramView.getUint32(at - 4, true) === RAM_TOP) {
                sramView.setUint32(at, ROOMY_STACK_BYTES, true);
                return true;
            }
        }
        return false;
    }

    #flashRoutine(routine) {
        const { flash, core } = this.rp2040;
        if (routine === 'RE') {
            const [offset, size] = core.registers;
            flash.fill(0xff, offset, offset + Math.ceil(size / SECTOR) * SECTOR);
        } else if (routine === 'RP') {
            const [offset, data, size] = core.registers;
            for (let i = 0; i < size; i++) flash[offset + i] &= this.rp2040.readUint8(data + i);
        }
    }
}

function patched(bootrom) {
    const rom = Buffer.from(bootrom);
    for (let at = rom.readUInt16LE(FUNCTION_TABLE); rom.readUInt16LE(at); at += 4) {
        const number = FLASH_ROUTINES.indexOf(rom.toString('latin1', at, at + 2));
        if (number >= 0) {
            const routine = rom.readUInt16LE(at + 2) & ~1;
            rom.writeUInt16LE(BKPT | number, routine);
            rom.writeUInt16LE(RETURN, routine + 2);
        }
    }
    return new Uint32Array(rom.buffer, rom.byteOffset, rom.length / 4);
}
