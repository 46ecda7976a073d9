"""How a server reached through TLS is trusted, and how we show who we are."""

from __future__ import annotations

from typing import Literal

import msgspec

Version = Literal["1.2", "1.3"]


class TlsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for `https://` and `wss://` URLs. Relative paths begin at the folder of trunkline.toml."""

    ca: str = ""
    """PEM file, or folder of them, of the only authorities to trust; "" for those of the system."""
    cert: str = ""
    """PEM file with the client certificate to show, and those that lead to its authority."""
    key: str = ""
    """PEM file with the key of `cert`; "" where `cert` holds it too."""
    key_password: str = ""
    """What decrypts the key, as a reference to where it is kept, such as `${KEY_PASSWORD}`."""
    minimum: Version = "1.2"
    """The oldest version of TLS to speak."""
    verify: bool = True
    """Whether the server must prove who it is. Off, anybody on the way reads and changes everything."""
