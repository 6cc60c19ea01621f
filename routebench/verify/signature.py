"""Sign a run folder, and check that it is as somebody with a key has signed it.

The signature is Ed25519 (RFC 8032) over the SHA-256 of every file that the board is about and of
the board itself. Keys are PEM files, as `openssl genpkey -algorithm ed25519` makes them.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from pathlib import Path
from typing import Any

from routebench.board import run_folder
from routebench.errors import DataError, OptionError
from routebench.files import file_sha256, replace_file
from routebench.limits import parse_json

FILE = "signature.json"
_PURPOSE = "routebench run folder, version 1"
"""Part of what is signed: a signature of anything else is none of a run."""


def make_key(path: Path) -> Path:
    """Make a pair of keys: the private one at `path`, the public one at `path`.pub.

    Raises:
        OptionError: something is at one of them, or they cannot be written.
    """
    ed25519, serialization = _library()
    public = path.with_name(f"{path.name}.pub")
    for place in (path, public):
        if place.exists():
            raise OptionError(f"{place}: is there already", "name another file")
    key = ed25519.Ed25519PrivateKey.generate()
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(private)
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        replace_file(public, key.public_key().public_bytes(pem, form))
    except OSError as error:
        raise OptionError(f"cannot write {error.filename}: {error.strerror}") from error
    return public


def sign(folder: Path, key: Path) -> Path:
    """Write the signature of a run folder into it, and return its place.

    Raises:
        DataError: no run, a file of it is missing, or no private key.
    """
    ed25519, serialization = _library()
    try:
        private = serialization.load_pem_private_key(key.read_bytes(), password=None)
    except OSError as error:
        raise DataError(f"{key}: {error.strerror}") from error
    except (TypeError, ValueError) as error:
        raise DataError(f"{key}: no private key without a password, in PEM") from error
    if not isinstance(private, ed25519.Ed25519PrivateKey):
        raise DataError(f"{key}: is no Ed25519 key", "routebench sign --new-key FILE makes one")
    files = _digests(folder)
    signature = base64.b64encode(private.sign(_message(files))).decode()
    content = json.dumps({"files": files, "signature": signature}, indent=2, sort_keys=True)
    replace_file(folder / FILE, f"{content}\n".encode())
    return folder / FILE


def check(folder: Path, key: Path) -> list[tuple[str, Any, Any]]:
    """Return what was signed by another key or not at all: path, signed, found.

    Raises:
        DataError: no run, or no public key.
    """
    ed25519, serialization = _library()
    from cryptography.exceptions import InvalidSignature

    try:
        public = serialization.load_pem_public_key(key.read_bytes())
    except OSError as error:
        raise DataError(f"{key}: {error.strerror}") from error
    except ValueError as error:
        hint = "it is the file that ends in .pub"
        raise DataError(f"{key}: no public key in PEM", hint) from error
    if not isinstance(public, ed25519.Ed25519PublicKey):
        raise DataError(f"{key}: is no Ed25519 key")
    signed, signature = _read(folder / FILE)
    if signed is None:
        return [(FILE, "a signature of the key", "is not there")]
    try:
        public.verify(signature, _message(signed))
    except InvalidSignature:
        return [(FILE, "a signature of the key", "it is not")]
    found = _digests(folder)
    names = sorted({*signed, *found})
    gone = "is not there"
    return [
        (f"signed[{name}]", signed.get(name, "was not signed"), found.get(name, gone))
        for name in names
        if signed.get(name) != found.get(name)
    ]


def _message(files: dict[str, str]) -> bytes:
    return json.dumps([_PURPOSE, sorted(files.items())], separators=(",", ":")).encode()


def _digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of the board, the run file and the tables, by name."""
    board = run_folder.read(folder)
    names = sorted({run_folder.BOARD, run_folder.RUN_FILE, *board.files})
    try:
        return {name: file_sha256(folder / name) for name in names}
    except OSError as error:
        raise DataError(f"{folder}: {Path(error.filename).name} is not there") from error


def _read(path: Path) -> tuple[dict[str, str] | None, bytes]:
    """Return the signed digests and the signature; None where there are none."""
    try:
        held = parse_json(path.read_text(encoding="utf-8"))
        files = held["files"]
        if not all(isinstance(text, str) for item in files.items() for text in item):
            return None, b""
        return dict(files), base64.b64decode(held["signature"], validate=True)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, binascii.Error):
        return None, b""


def _library() -> tuple[Any, Any]:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        hint = "pip install 'routebench[sign]'"
        raise OptionError("signatures need cryptography", hint) from error
    return ed25519, serialization
