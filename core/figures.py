"""Numbers as people read them: GiB, durations, counts, learning rates."""

from __future__ import annotations

import math

GIB = 2**30
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def gib(num_bytes: float, decimals: int = 1) -> str:
    """Bytes in GiB: "7.8 GiB"."""
    return f"{num_bytes / GIB:.{decimals}f} GiB"


def size(num_bytes: float) -> str:
    """Bytes in the unit that fits: "512 B", "80 MiB", "5.2 GiB", three figures at most."""
    sign, amount = ("−" if num_bytes < 0 else ""), abs(num_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 999.5 or unit == "GiB":
            break
        amount /= 1024
    decimals = 0 if unit == "B" or amount >= 99.95 else 1 if amount >= 9.995 else 2
    return f"{sign}{_trimmed(amount, decimals)} {unit}"


def count(number: float) -> str:
    """A large count, short: "41.9 M", "8.03 B", "4,212"."""
    for limit, least, letter in ((1e9, 999.5e6, "B"), (1e6, 1e6, "M")):
        if number >= least:
            scaled = number / limit
            return f"{scaled:.{2 if scaled < 9.995 else 1 if scaled < 99.95 else 0}f} {letter}"
    return whole(number)


def whole(number: float) -> str:
    """A whole number with thousands set apart: "4,212"."""
    return f"{round(number):,}"


def duration(seconds: float) -> str:
    """Time to the unit that matters: "45 s", "12 min", "2 h 10 min", "3 d 4 h"."""
    if seconds < 59.5:
        return f"{max(0, round(seconds))} s"
    if seconds < 600:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest:02d} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days} d {hours} h"


def scientific(number: float) -> str:
    """A small number as 2 × 10⁻⁴; plain where that is shorter to read."""
    if number == 0 or 0.01 <= abs(number) < 10000:
        return f"{number:g}"
    exponent = math.floor(math.log10(abs(number)))
    mantissa = f"{number / 10**exponent:.3g}"
    if mantissa == "10":
        mantissa, exponent = "1", exponent + 1
    return f"{mantissa} × 10{str(exponent).translate(_SUPERSCRIPTS)}"


def _trimmed(amount: float, decimals: int) -> str:
    text = f"{amount:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
