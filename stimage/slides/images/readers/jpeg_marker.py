"""Whether a JPEG's Adobe marker says of four colours what they are."""

MOST = 1 << 20  # bytes in which a JPEG's header ends, unless it has large profiles
YCCK, ADOBE, FRAMES, SCAN = 2, 0xEE, (0xC0, 0xC1, 0xC2), 0xDA


def mislabelled(head: bytes) -> bool:
    """Return whether the marker says YCCK, but all four components are coded alike, as cyan, magenta, yellow and black.

    Encoders code the two differences of colour of YCCK by a table, or at a size, of their own.

    Parameters
    ----------
    head
        The file's first bytes.
    """
    at, says, alike = 2, False, False
    while at + 4 <= len(head) and head[at] == 0xFF and head[at + 1] != SCAN:
        kind, part = head[at + 1], head[at + 4 : at + 2 + int.from_bytes(head[at + 2 : at + 4], "big")]
        if kind == ADOBE and part[:5] == b"Adobe" and len(part) > 11:
            says = part[11] == YCCK
        elif kind in FRAMES and len(part) >= 18 and part[5] == 4:
            alike = len({part[k + 1 : k + 3] for k in range(6, 18, 3)}) == 1  # sampling and table of each component
        at += 2 + int.from_bytes(head[at + 2 : at + 4], "big")
    return says and alike
