"""The twin of field_kernel.py: on big integers, several times slower, and in a time that depends
on the numbers, as theirs does."""

from mpcore.crypto.field_elements import (
    ADD, AGAIN, CARRY, END, MUL, P, SMALL, SQUARE, SUB, SWAP, get, put)


def run(a, d, elements, program, scalar, bit):
    known = {}          # elements as numbers, of any size and sign
    changed = set()

    def value(number):
        if number not in known:
            known[number] = get(elements, number)
        return known[number]

    at = 0
    while True:
        op, to, x, y = program[at], program[at + 1], program[at + 2], program[at + 3]
        at += 4
        if op == END or op == SWAP and bit < 0:
            break
        if op == AGAIN:
            at = 0
            continue
        if op == SWAP:
            chosen = scalar[bit >> 3] >> (bit & 7) & 1
            bit -= 1
            for one, other in (to, x), (to + 1, x + 1):
                pair = value(one), value(other)
                known[one], known[other] = pair[chosen], pair[1 - chosen]
                changed.add(other)
            changed.add(to)
            changed.add(to + 1)
            continue
        number = value(x)
        if op == MUL:
            number = number * value(y) % P
        elif op == SQUARE:
            for _ in range(y):
                number = number * number % P
        elif op == ADD:
            number += value(y)
        elif op == SUB:
            number -= value(y)
        elif op == SMALL:
            number = number * 121665 % P
        elif op == CARRY:
            number %= P
        known[to] = number
        changed.add(to)
    for number in changed:
        put(elements, number, known[number] % P)
