"""c_call.mpy, by which a program on a board calls a function of its firmware that Python has not.

    import c_call
    c_call.call(words)          # array("I"): the function's address, up to six arguments of a word

The first word then is what it returned. MicroPython's compiler has no such call, but a .mpy file
may hold any machine code: this is written by hand, in the place of a viper function's.
"""

from host_tools.boards import mpy

MODULE = "c_call"
_TEMPLATE = "import micropython\n@micropython.viper\ndef call(words): pass\n"
_CODE = {
    # The firmware calls it with the function, two counts and where the arguments are (a2 to a5).
    # Xtensa, windowed: a10 to a15 are the first six arguments of who is called by callx8.
    "xtensawin": bytes.fromhex(
        "366100"        # entry   a1, 48
        "2805"          # l32i.n  a2, a5, 0     the array,
        "2832"          # l32i.n  a2, a2, 12    and where its words are
        "8802"          # l32i.n  a8, a2, 0
        "a812"          # l32i.n  a10, a2, 4
        "b822"          # l32i.n  a11, a2, 8
        "c832"          # l32i.n  a12, a2, 12
        "d842"          # l32i.n  a13, a2, 16
        "e852"          # l32i.n  a14, a2, 20
        "f862"          # l32i.n  a15, a2, 24
        "e00800"        # callx8  a8
        "a902"          # s32i.n  a10, a2, 0
        "2805"          # l32i.n  a2, a5, 0     returns the array
        "1df0"),        # retw.n
}


def content(architecture):
    """The bytes of c_call.mpy. Raises KeyError for an architecture that has none."""
    [compiled] = mpy.compiled(architecture, {f"{MODULE}.py": _TEMPLATE}, ("-O3",)).values()
    return mpy.with_machine_code(compiled, _CODE[architecture])
