// Runs one emulated Pico W until its standard input ends; host_tools/emulator/board.py talks to it.
//
//   node runner.mjs OPTIONS     a JSON object: firmware, bootrom, flash (file or null), seed,
//                               queue, pins
//
// It prints JSON lines ("event": …) and takes JSON lines ("cmd": …).

import fs from 'node:fs';
import readline from 'node:readline';
import { Pico } from './pico.mjs';
import { serve, SerialPort } from './serial.mjs';
import { Nic } from './nic.mjs';
import { Pacer } from './pacer.mjs';

const options = JSON.parse(process.argv[2]);
const tell = (facts) => process.stdout.write(JSON.stringify(facts) + '\n');

const pico = new Pico(fs.readFileSync(options.firmware), fs.readFileSync(options.bootrom),
                      options.seed, options.flash ? fs.readFileSync(options.flash) : null,
                      options.heap ?? null);
const serial = new SerialPort(pico);
const nic = new Nic(pico, tell, options.queue);
for (const pin of options.pins) {
    pico.onPin(pin, (value) => tell({ event: 'pin', pin, value, ...nic.now() }));
}

const pacer = new Pacer(pico);
serial.before = nic.before = () => pacer.catchUp();

const commands = {
    link: ({ up }) => nic.setLink(up),
    state: () => tell({ event: 'state', ...nic.now(), ...nic.counters, link: nic.link,
                        hz: pico.rp2040.clkSys }),
    save: ({ file }) => {
        fs.writeFileSync(file, pico.rp2040.flash.subarray(0, 2 << 20));
        tell({ event: 'saved' });
    },
};
const lines = readline.createInterface({ input: process.stdin });
lines.on('line', (line) => {
    const command = JSON.parse(line);
    commands[command.cmd](command);
});
lines.on('close', () => process.exit(0));

const port = await serve(serial, (bytes) => tell({ event: 'output', text: bytes.toString() }));
tell({ event: 'serial', port });
pacer.start();
