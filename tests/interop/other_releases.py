"""Further releases of Codex, which people have sessions of; as a program, it fetches all of them.

They are for `make interop-all`, by hand: it fetches two gigabytes and takes some minutes. Pinned for one platform.
"""

from __future__ import annotations

import sys
from typing import Literal

from habits import (
    V0_8,
    V0_25,
    V0_29,
    V0_34,
    V0_36,
    V0_42,
    V0_50,
    V0_60,
    V0_90,
    V0_104,
    V0_120,
    V0_135,
    V0_150,
    V0_160,
    V0_166,
    Habits,
)
from releases import Archive, Release, fetch_all

PLATFORM, TRIPLE = "linux-x64", "x86_64-unknown-linux-musl"
# The program's place in the archive, which changed twice.
IN_BIN, IN_VENDOR, IN_VENDOR_BIN = f"bin/codex-{TRIPLE}", f"vendor/{TRIPLE}/codex/codex", f"vendor/{TRIPLE}/bin/codex"


def release(version: str, writes: Literal["flat", "envelope"], habits: Habits, program: str, sha512: str) -> Release:
    """Return a release with every platform's program in one archive."""
    return Release(version, writes, {PLATFORM: Archive(version, sha512, program)}, habits)


def split_release(version: str, habits: Habits, program: str, sha512: str) -> Release:
    """Return a release with an archive for each platform."""
    return Release(version, "envelope", {PLATFORM: Archive(f"{version}-{PLATFORM}", sha512, program)}, habits)


# fmt: off
OTHERS = (
    release("0.8.0", "flat", V0_8, IN_BIN,
            "XEW3RUDKbjUFwqkH6iDfCT0psdgStXu6IQ3JKJSTKNAzd83MS4gJyZ1Gyn8ixh4GcClm/QE1bPAH4/SVSx5G0g=="),
    release("0.25.0", "flat", V0_25, IN_BIN,
            "YAeKOQNdmMz/CPnj0dtbprFGlvkwGbKjd7aEMfbdhrrkwEx0qNwb5pr82ID+9Y77X19AixmZcAA3qa0vPmWaXQ=="),
    release("0.27.0", "flat", V0_25, IN_BIN,
            "3uak0oAWQMn35Bmr6bLRVjsefNboi4hNcVoBmWvgbq2uUFHOXaC7Obb0OEC1YHk+ASYyweXXigJ9IA77Ibx84g=="),
    release("0.28.0", "flat", V0_25, IN_BIN,
            "t8nouRZre4oIfaDWo5PUw3/FZRvvQf3qm9Qf4+9K3hyb9bqmX3i/77pJSSuXtoY82Nir9F4s6/W7x8kbvkms6Q=="),
    release("0.29.0", "flat", V0_29, IN_BIN,
            "bBHkCiBvEEdh5EUHcZHdR4rKLkhpCv8u5WvknJZi11jeGviTfVt/KD6tiAOE7lCELkfbtURrtwG/a/f9a0JZJA=="),
    release("0.34.0", "envelope", V0_34, IN_BIN,
            "lLEC2HYccGgazkd1aKcAH5FqpNvhYRV905Fke9HQdEUJrhB85a97x2zddXIYblAHK0YkL+pQsNRm95bKytu5Tg=="),
    release("0.36.0", "envelope", V0_36, IN_BIN,
            "IFarw0q0rrV/O88PPN3883nz3I7jYdnODNbk5YlzuJA/geGJJdqBuc4NOQtXug1Da5XJX0l/3iw4fCyWAvbfww=="),
    release("0.42.0", "envelope", V0_42, IN_VENDOR,
            "jLpMrQuq1gIBzBKbKMwAzXOh+5uwE+ht3RHUb2Ov7P50fjAxPKDZa0+zpqkhHTspm8Rw6Vdrm4I4L+Z03usCkg=="),
    release("0.50.0", "envelope", V0_50, IN_VENDOR,
            "JsyznJwTdHZIY4u5m1Ok76WMdT54qjLRqKN93EJTPUeNSdE1kzkahSqjCwTIhrnx1vvn3uJtZ24HuOcsfTEPdA=="),
    release("0.60.1", "envelope", V0_60, IN_VENDOR,
            "qKLPldoUdBviRBltPxYYqbpOmTpFcIgy3Hbehrcda7kMY7OcdruU3HaTfERXwOXXOl853v8s8hBBpOALLqUCgQ=="),
    release("0.77.0", "envelope", V0_60, IN_VENDOR,
            "1Z3tuJsePfQvBELmTT3Dpzm4GheQn0t4H8RtdZnYVBdj1vA2Hi6eGCrOHXxPSfXRKDrSZ4VvALcQmZpFmYsaHA=="),
    release("0.90.0", "envelope", V0_90, IN_VENDOR,
            "dugExuJQ2hu/rvVXUi6WxN+IBA1yCbIx9L+qF6lzvwfrKsvhFJlutLgsl4PO92rvFPzODLOO2u9toiLG7gV6CQ=="),
    split_release("0.104.0", V0_104, IN_VENDOR,
                  "vhYaWsEwZmxZbeu5u9/k3VO1F4aTMYaTCebRgdzux7bfeDw2nms1SAcP+AkfCStqVSz26yaPGbwcUMqaknW4gQ=="),
    split_release("0.120.0", V0_120, IN_VENDOR,
                  "VcP9B/c/O+EFEgqoetCzvHrLfAdo8vrt09Gx1lJ8ikewctqAuJ/ozj/6wuvlz7XaaK64ib5cge01pOAeCyt2Sg=="),
    split_release("0.135.0", V0_135, IN_VENDOR_BIN,
                  "5EosY67yU28UJSnl/obdN2F1CDaimYbzm9SLR8dwwzkeBBnY6dHgAKJ2GTu9Nc8CmgmtVFBGzgPqehsIcueVvA=="),
    split_release("0.150.0", V0_150, IN_VENDOR_BIN,
                  "yWkFNr2ztdDHWHjY2SXQ3uWKzpE2aZ5HlDRMZ7PpMUP8LB9Wd6ZWyxWELAgDLucVWa4OYwHv5fJYzHSlEQtjHg=="),
    split_release("0.160.0", V0_160, IN_VENDOR_BIN,
                  "KI/73OqGrHmR18s7ya7E1NqV6rT0y3lxr0s8S1qR2m6zU6QRF/HlR529jALLh5vjdUnsRT4Ahoxt0axb4kY99g=="),
    split_release("0.166.0", V0_166, IN_VENDOR_BIN,
                  "CxDm3+D1cpbGJeHrdzINoG+3wn9BVncP4qpZaaNYkxe8iPtRJOYyCJnnPoVjWRIBvI9vPKbRoifsMSA5xDaUpw=="),
)
# fmt: on


if __name__ == "__main__":
    sys.exit(fetch_all(OTHERS))
