// Runs an emulated Pico W until its standard input ends. host_tools/emulator/board.py talks to it.
//
//   node runner.mjs OPTIONS     a JSON object:
//       firmware, bootrom       files
//       flash, heap             a file and bytes, or null: see pico.mjs
//       more                    UF2 files that are in the flash beside the firmware
//       seed                    of the random bits
//       queue                   datagrams that wait for a socket of the guest
//       pins                    those that are told of
//       stepped                 true: time passes only by the command "step", and so do datagrams
//       terminal                file descriptor of a pseudo-terminal's master: the serial port
//
// It prints JSON lines ("event": …) and takes JSON lines ("cmd": …).

import fs from 'node:fs';
import readline from 'node:readline';
import { Pico } from './pico.mjs';
import { attach, SerialPort } from './serial.mjs';
import { Nic } from './nic.mjs';
import { Pacer } from './pacer.mjs';

// rp2040js has words of its own for these, on the standard output that is ours.
console.warn = console.log = console.error = () => {};

const options = JSON.parse(process.argv[2]);
const tell = (facts) => process.stdout.write(JSON.stringify(facts) + '\n');

const pico = new Pico(fs.readFileSync(options.firmware), fs.readFileSync(options.bootrom),
                      options.seed, options.flash ? fs.readFileSync(options.flash) : null,
                      options.heap ?? null, options.more.map((file) => fs.readFileSync(file)));
const serial = new SerialPort(pico);
let sent = [];
const nic = new Nic(pico, tell, options.queue, options.stepped ? (from, port, address, data) => {
    sent.push({ port, address, data: data.toString('hex'), ...nic.now() });
} : null);
for (const pin of options.pins) {
    pico.onPin(pin, (value) => tell({ event: 'pin', pin, value, ...nic.now() }));
}

// Nothing here resets a chip: whoever hears of it switches the board off and on.
pico.onReset(() => tell({ event: 'reset' }));

const pacer = new Pacer(pico);
serial.before = nic.before = () => pacer.catchUp();

const commands = {
    type: ({ text }) => serial.write(Buffer.from(text)),
    link: ({ up }) => nic.setLink(up),
    ask: () => { nic.asked = 1; },
    state: () => tell({ event: 'state', ...nic.now(), ...nic.counters, link: nic.link,
                        hz: pico.rp2040.clkSys }),
    // Deliver datagrams, then let time pass until the guest's clock shows `nanos`.
    step: ({ nanos, datagrams }) => {
        for (const { to, port, address, data } of datagrams) {
            const socket = nic.sockets.find((each) => each?.port === to);
            if (socket) nic.deliver(socket, Buffer.from(data, 'hex'), port, address);
        }
        sent = [];
        pico.runUntil(nanos);
        tell({ event: 'stepped', nanos: pico.clock.nanos, sent });
    },
    save: ({ file }) => {
        fs.writeFileSync(file, pico.saveFlash());
        tell({ event: 'saved' });
    },
    saveRam: ({ file }) => {
        fs.writeFileSync(file, pico.rp2040.sram);
        tell({ event: 'saved' });
    },
};
const lines = readline.createInterface({ input: process.stdin });
lines.on('line', (line) => {
    const command = JSON.parse(line);
    pacer.catchUp();
    commands[command.cmd](command);
});
lines.on('close', () => process.exit(0));

// What the guest prints, line by line.
let printed = Buffer.alloc(0);
attach(serial, options.terminal, (bytes) => {
    printed = Buffer.concat([printed, bytes]);
    for (let end; (end = printed.indexOf(10)) >= 0; printed = printed.subarray(end + 1)) {
        tell({ event: 'printed', text: printed.toString('utf8', 0, end).trimEnd() });
    }
});
tell({ event: 'ready' });
if (!options.stepped) pacer.start();
