"""Personal data by its pattern: e-mail, phone, card, bank account and network addresses, with their checksums.

What is found is never repeated in full. A pattern finds most and not all, and takes some numbers for what they are
not: a count of zero is no proof.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from typing import Literal

PersonalKind = Literal["e-mail address", "bank account", "card number", "IP address", "phone number"]
EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}(?![\w-])")
IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])")
CARD = re.compile(r"(?<![\w.+-])\d(?:[ -]?\d){12,18}(?![\w-]|\.\d)")
IPV4 = re.compile(r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\d)")
IPV6 = re.compile(r"(?<![\w:.])(?=[0-9a-fA-F]*:[0-9a-fA-F]*:)[0-9a-fA-F:]{6,39}(?![\w:])")
BETWEEN = r"[ .()/-]{0,2}"
INTERNATIONAL = rf"(?:\+|00)[1-9]\d{{0,2}}{BETWEEN}(?:\d{BETWEEN}){{6,11}}\d"
AMERICAN = r"\(?[2-9]\d{2}\)?[ .-][2-9]\d{2}[ .-]\d{4}"
PHONE = re.compile(rf"(?<![\w.+-])(?<!\d )(?:{INTERNATIONAL}|{AMERICAN})(?![\w-])")
# Lengths by country, from the IBAN registry of SWIFT.
IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "CH": 21,
    "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FO": 18,
    "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23,
    "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LI": 21, "LT": 20, "LU": 20, "LV": 21,
    "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18, "NO": 15, "PK": 24, "PL": 28,
    "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "TN": 24,
    "TR": 26, "UA": 29, "VG": 24, "XK": 20,
}  # fmt: skip
ISSUERS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}|"
    r"3(?:0[0-5]|[68]\d)\d{11}|6(?:011|4[4-9]\d|5\d\d)\d{12}|35\d{14}|62\d{14,17}"
)


def find_personal(text: str) -> Iterator[tuple[PersonalKind, str]]:
    """What looks like personal data in a text: its kind, and a hint of it that does not give it away."""
    if not any(sign in text for sign in "@0123456789"):
        return
    taken: list[tuple[int, int]] = []
    for kind, pattern, is_real in CHECKS:
        for found in pattern.finditer(text):
            if is_real(found[0]) and not any(found.start() < end and start < found.end() for start, end in taken):
                taken.append(found.span())
                yield kind, hint(found[0])


def hint(found: str) -> str:
    """The first two and the last two signs, or less of something short."""
    return f"{found[:2]}…{found[-2:]}" if len(found) >= 10 else f"{found[:1]}…"


def is_card(found: str) -> bool:
    """Whether the digits begin as a card issuer's do and pass the check of Luhn (ISO/IEC 7812-1)."""
    digits = [int(sign) for sign in found if sign.isdigit()]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0 and bool(ISSUERS.fullmatch("".join(map(str, digits))))


def is_iban(found: str) -> bool:
    """Whether the length is the country's and the check digits are right (ISO 13616, mod 97)."""
    plain = found.replace(" ", "")
    if len(plain) != IBAN_LENGTHS.get(plain[:2]):
        return False
    return int("".join(str(int(sign, 36)) for sign in plain[4:] + plain[:4])) % 97 == 1


def _is_address(found: str) -> bool:
    """Whether this is an address of the public network: those of every home say nothing of anyone."""
    try:
        return ipaddress.ip_address(found).is_global
    except ValueError:
        return False


CHECKS: tuple[tuple[PersonalKind, re.Pattern[str], Callable[[str], bool]], ...] = (
    ("e-mail address", EMAIL, bool),
    ("bank account", IBAN, is_iban),
    ("card number", CARD, is_card),
    ("IP address", IPV4, _is_address),
    ("IP address", IPV6, _is_address),
    ("phone number", PHONE, lambda found: 7 <= sum(sign.isdigit() for sign in found) <= 15),
)
