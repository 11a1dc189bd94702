"""How much room the state folder's disk has: told before it is full, when databases stop."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from app import metrics

FIRST_START = 2 * 1024**3
LOW, SHORT = 2 * 1024**3, 512 * 1024**2
AGAIN = 256 * 1024**2  # what a database that has stopped for want of room needs to start


@dataclass(frozen=True, slots=True)
class Room:
    """Of the disk that holds `folder` [bytes]."""

    folder: Path
    free: int

    @property
    def state(self) -> str:
        """OK, LOW, or SHORT: writing will soon fail."""
        return "OK" if self.free >= LOW else "LOW" if self.free >= SHORT else "SHORT"

    def __str__(self) -> str:
        return f"{self.free / 1024**2:,.0f} MB free on the disk of {self.folder}"


def measure(folder: Path) -> None:
    """Raises: OSError."""
    metrics.DISK_FREE.set(room(folder).free)


def room(folder: Path) -> Room:
    """Raises: OSError."""
    return Room(folder, shutil.disk_usage(folder).free)
