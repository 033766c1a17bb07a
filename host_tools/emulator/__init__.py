"""A board that runs here: real, unmodified MicroPython firmware of the Pico W in an emulator."""
