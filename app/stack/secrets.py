"""Passwords and tokens of the local stack: generated once, readable by their owner only."""

import os
import secrets
from pathlib import Path


def secret(home: Path, name: str) -> str:
    """The secret `name` of this state folder, made at first use."""
    path = home / "secrets" / name
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(secrets.token_hex(20))
    return path.read_text()
