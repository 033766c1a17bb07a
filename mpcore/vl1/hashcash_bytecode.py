"""The twins of hashcash_kernel.py: a block of 64 bytes is one big integer."""


def chain(memory, n):
    block = 0
    for at in range(0, n, 64):
        block ^= int.from_bytes(memory[at:at + 64], "little")
        memory[at:at + 64] = block.to_bytes(64, "little")


def mix(memory, total, out, stream, step, count):
    for at in range(16 * step, 16 * (step + count), 16):
        a = (memory[at + 7] & 7) << 3
        b = (int.from_bytes(memory[at + 13:at + 16], "big") & 2 * total - 1) << 3
        memory[b:b + 8], out[a:a + 8] = out[a:a + 8], memory[b:b + 8]
        k = 4 * at - 64 * step
        mixed = int.from_bytes(out, "little") ^ int.from_bytes(stream[k:k + 64], "little")
        out[:] = mixed.to_bytes(64, "little")
    stream[:64 * count] = bytes(64 * count)
