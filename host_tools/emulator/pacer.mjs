// Keeps an emulated board's clock from outrunning the wall's: while the guest idles, so does the
// runner. A busy guest is slower than a board and falls behind; it is never hurried to catch up.

const STEPS = 20000;            // instructions between looks at the host's sockets
const AHEAD_NANOS = 2e6;        // waits shorter than this are gathered and slept through together

export class Pacer {
    constructor(pico) {
        this.pico = pico;
        this.ahead = 0;         // of the wall's clock, in ns; never negative
        this.sleep = null;      // the timer of a wait that is going on
        this.wall = process.hrtime.bigint();
        this.guest = pico.clock.nanos;
    }

    start() { setImmediate(() => this.#turn()); }

    // To be called before anything from outside touches the guest: moves a sleeping guest's clock
    // to where the wall's is, and has it run next.
    catchUp() {
        if (this.sleep === null) return;
        clearTimeout(this.sleep);
        this.sleep = null;
        const slept = Number(process.hrtime.bigint() - this.wall) - this.ahead;
        if (slept > 0) this.pico.idle(Math.min(slept, this.pico.nanosToAlarm));
        this.start();
    }

    #turn() {
        const idle = this.pico.run(STEPS);
        const wall = process.hrtime.bigint(), guest = this.pico.clock.nanos;
        this.ahead = Math.max(0, this.ahead + guest - this.guest - Number(wall - this.wall));
        this.wall = wall;
        this.guest = guest;
        if (!idle) return this.start();
        const wait = this.pico.nanosToAlarm;
        if (this.ahead + wait < AHEAD_NANOS) {
            this.pico.idle(wait);
            return this.start();
        }
        const sleep = Math.min(this.ahead + wait, 1e9) / 1e6;
        this.sleep = setTimeout(() => this.catchUp(), sleep);
    }
}
