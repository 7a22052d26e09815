"""What a store writes of voices and names, as it is or encrypted and authenticated (the only place of cryptography).

A key of any 32 bytes or more, and the store's own random salt, give two keys by HKDF-SHA256 (RFC 5869): one for values
(AES-256-GCM, NIST SP 800-38D, a random nonce for each), and one for texts by which rows are found (AES-256-SIV, RFC
5297, the same text always the same). Each is bound to the place where it stands: moved elsewhere, it is refused.
"""

import base64
import json
import os
import secrets
from collections.abc import Mapping
from typing import NoReturn, Protocol

from speechgmm.checks import instance, refuse
from speechgmm.errors import WrongKey
from speechgmm.files import check_readable

SHORTEST = 32
"""Bytes of a key, at least: as many as the keys have that are derived from it."""
SETTINGS = ("salt", "key_check")
"""The settings of a store that say that it is encrypted, and by which key."""
_LONGEST = 1 << 20
"""Bytes of a key file, at most: a longer one is some other file."""
_BLOCK = 64
"""Texts are filled up to a multiple of so many bytes, so that their lengths tell little."""
_INFO = b"speechgmm store 1"
_NONCE = 12
_MOST = 1 << 20
"""So many texts are remembered."""


class Cipher(Protocol):
    """How a store writes. `bound` says of what a text or a value is; it has to be the same when that is read."""

    def hide(self, text: str, *bound: str) -> str:
        """Return what is written in place of a text, the same each time."""

    def reveal(self, hidden: str, *bound: str) -> str:
        """Return the text again; InvalidInput if it was changed."""

    def seal(self, data: bytes, *bound: str) -> bytes:
        """Return what is written in place of a value."""

    def unseal(self, sealed: bytes, *bound: str) -> bytes:
        """Return the value again; InvalidInput if it was changed."""


class PlainText:
    """Everything as it is."""

    def hide(self, text: str, *bound: str) -> str:
        """Return the text."""
        return text

    def reveal(self, hidden: str, *bound: str) -> str:
        """Return the text."""
        return hidden

    def seal(self, data: bytes, *bound: str) -> bytes:
        """Return the value."""
        return data

    def unseal(self, sealed: bytes, *bound: str) -> bytes:
        """Return the value."""
        return sealed


PLAIN = PlainText()


class Encrypted:
    """Everything encrypted by keys that are derived from one key and a salt, both of 32 bytes or more."""

    def __init__(self, key: bytes, salt: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        derived = HKDF(SHA256(), 96, salt, _INFO).derive(key)
        self._values, self._texts = AESGCM(derived[:32]), AESSIV(derived[32:])
        self._revealed: dict[tuple[str, ...], str] = {}

    def hide(self, text: str, *bound: str) -> str:
        """Return a text, filled up to a whole block, encrypted, as base64."""
        data = text.encode("utf-8", "surrogatepass") + b"\1"
        filled = data + bytes(-len(data) % _BLOCK)
        return base64.urlsafe_b64encode(self._texts.encrypt(filled, [_bytes(bound)])).decode()

    def reveal(self, hidden: str, *bound: str) -> str:
        """Return the text again."""
        from cryptography.exceptions import InvalidTag

        if (text := self._revealed.get((hidden, *bound))) is not None:
            return text
        try:
            data = base64.b64decode(hidden.encode(), altchars=b"-_", validate=True)
            if base64.urlsafe_b64encode(data).decode() != hidden:  # a bit that counts for nothing
                _refuse_changed()
            filled = self._texts.decrypt(data, [_bytes(bound)])
        except (InvalidTag, ValueError):  # ValueError: no base64
            _refuse_changed()
        text = filled.rstrip(b"\0")[:-1].decode("utf-8", "surrogatepass")
        if len(self._revealed) >= _MOST:
            self._revealed.clear()
        self._revealed[hidden, *bound] = text
        return text

    def seal(self, data: bytes, *bound: str) -> bytes:
        """Return a value encrypted, behind its nonce."""
        nonce = os.urandom(_NONCE)
        return nonce + self._values.encrypt(nonce, data, _bytes(bound))

    def unseal(self, sealed: bytes, *bound: str) -> bytes:
        """Return the value again."""
        from cryptography.exceptions import InvalidTag

        try:
            return self._values.decrypt(sealed[:_NONCE], sealed[_NONCE:], _bytes(bound))
        except (InvalidTag, ValueError):
            _refuse_changed()


def read_key(path: str | os.PathLike[str]) -> bytes:
    """Return the key in a file: all of its bytes, whatever they are, 32 at least.

    They have to be random, such as ``head -c 32 /dev/urandom`` gives them: words that somebody may think of are found
    by trying.

    Raises
    ------
    InvalidInput
        If the file cannot be read, is empty or short, or too long for a key.

    Examples
    --------
    >>> import pathlib
    >>> import secrets
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> place = pathlib.Path(folder.name, "people.key")
    >>> _ = place.write_bytes(secrets.token_bytes(32))
    >>> len(read_key(place))
    32
    >>> folder.cleanup()
    """
    check_readable(path, "a key file")
    try:
        with open(path, "rb") as file:
            key = file.read(_LONGEST + 1)
    except OSError as error:
        refuse("a key file", "be a file that can be read", f"{os.fspath(path)} ({error.strerror})")
    if len(key) > _LONGEST:
        refuse(f"the key file {os.fspath(path)}", f"hold at most {_LONGEST} bytes", "more", "Give the file of the key.")
    return check_key(key, f"the key file {os.fspath(path)}")


def check_key(key: bytes, what: str = "a key") -> bytes:
    """Return a key, or refuse one that is too short."""
    instance(key, what, bytes)
    if len(key) < SHORTEST:
        advice = "Make one with: head -c 32 /dev/urandom > KEY"
        refuse(what, f"hold {SHORTEST} bytes or more", len(key), advice)
    return key


def new_settings(key: bytes | None) -> dict[str, str]:
    """Return the settings of a store that is encrypted from now on, with a salt of its own; none without a key."""
    if key is None:
        return {}
    salt = secrets.token_bytes(32)
    cipher = Encrypted(key, salt)
    return dict(zip(SETTINGS, (salt.hex(), cipher.hide("speechgmm", *SETTINGS)), strict=True))


def cipher_of(settings: Mapping[str, str], key: bytes | None, location: str) -> Cipher:
    """Return how a store with these settings writes.

    Raises
    ------
    WrongKey
        If it is encrypted and this is not its key, or not encrypted and there is a key.
    """
    what, give = f"the store {location}", "Give --key-file."
    if not any(name in settings for name in SETTINGS):
        if key is not None:
            advice = "Leave the key out, or encrypt the store first: speechgmm speakers rekey."
            refuse(what, "be encrypted where a key is given", "one that is not", advice, error=WrongKey)
        return PLAIN
    if key is None:
        refuse(what, "be opened with its key", "none", give, error=WrongKey)
    salt, told = (settings.get(name, "") for name in SETTINGS)
    try:
        cipher = Encrypted(key, bytes.fromhex(salt))
        cipher.reveal(told, *SETTINGS)
    except ValueError:  # InvalidInput is one
        refuse(what, "be opened with the key that it was encrypted with", "another key", give, error=WrongKey)
    return cipher


def _bytes(bound: tuple[str, ...]) -> bytes:
    return json.dumps(bound).encode()


def _refuse_changed() -> NoReturn:
    refuse("what is encrypted", "be as it was written", "something that was changed, or that stood elsewhere")
