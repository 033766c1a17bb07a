"""MicroPython's own tests of sockets, run unmodified over a virtual network."""
