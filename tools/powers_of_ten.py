#!/usr/bin/env python3
"""Writes src/base/number_table.c: the 128 leading bits of 10^q, cut off below, for every q that reading and
writing doubles needs. Run from the root of the tree: python3 tools/powers_of_ten.py > src/base/number_table.c"""

LOW, HIGH = -342, 324


def leading_bits(q):
    """The 128 leading bits of 10^q, which are those of 5^q."""
    if q >= 0:
        power = 5**q
        shift = power.bit_length() - 128
        return power >> shift if shift >= 0 else power << -shift
    power = 5**-q
    return (1 << (power.bit_length() + 127)) // power


rows = [leading_bits(q) for q in range(LOW, HIGH + 1)]
assert all(1 << 127 <= row < 1 << 128 for row in rows)
print("/* number_table.c -- written by tools/powers_of_ten.py; do not edit.")
print(" * Row q - (%d): the 128 leading bits of 10^q, high half first, the rest cut off. Exact for q = 0 .. 55. */" % LOW)
print('#include "base/number_internal.h"')
print()
print("/* clang-format off */")
print("const uint64_t mr_number_powers[MR_NUMBER_POWER_MAX - MR_NUMBER_POWER_MIN + 1][2] = {")
for row in rows:
    print("{0x%x,0x%x}," % (row >> 64, row & (1 << 64) - 1))
print("};")
