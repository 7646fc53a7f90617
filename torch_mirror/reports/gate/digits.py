"""Bits as text: six a digit, or a few of each of many numbers, one behind the other."""

import hashlib
from collections.abc import Iterable

DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
"""Six bits each, as RFC 4648 has them (base64url)."""


def digits_of(number: int, count: int) -> str:
    """The number in so many digits, the last of which are its last bits."""
    return "".join(DIGITS[number >> (6 * i) & 63] for i in reversed(range(count)))


def number_of(digits: str) -> int:
    """What digits stand for."""
    number = 0
    for digit in digits:
        number = number * 64 + DIGITS.index(digit)
    return number


def digest(data: bytes, count: int) -> str:
    """So many digits of BLAKE2b."""
    return digits_of(int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big") >> (64 - 6 * count), count)


def packed(numbers: Iterable[int], bits: int) -> str:
    """The last bits of each number: a first 1 says where they begin, so that none is lost."""
    whole = 1
    for number in numbers:
        whole = whole << bits | number & ((1 << bits) - 1)
    return digits_of(whole, -(-whole.bit_length() // 6))


def unpacked(text: str, bits: int) -> list[int]:
    """What was packed. The text is one that ``packed`` wrote."""
    whole = number_of(text)
    count = max(whole.bit_length() - 1, 0) // bits
    return [whole >> (bits * i) & ((1 << bits) - 1) for i in reversed(range(count))]
