"""An OPC UA server on node-opcua: tests/rigs/opcua, its packages fetched by npm."""

import shutil
import subprocess
from pathlib import Path

from tests.pace import PACE

HERE = Path(__file__).parent / "opcua"


def fetch(folder: Path) -> str:
    """Why it cannot be had, or nothing."""
    if shutil.which("npm") is None:
        return "npm is not on this machine"
    if not (folder / "node_modules").exists():
        shutil.copytree(HERE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules"))
        command = ["npm", "ci", "--no-audit", "--no-fund"]
        made = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PACE * 170, check=False)
        if made.returncode:
            return f"npm cannot fetch node-opcua: {made.stderr[-300:]}"
    return ""


def start_plant(folder: Path, port: int, *sizes: str) -> "subprocess.Popen[bytes]":
    """`sizes`: how many units, and the milliseconds between two changes of each variable."""
    command = ["node", "plant.mjs", str(port), str(folder / "pki"), *sizes]
    process = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    for line in process.stdout:
        if b"ready" in line:
            return process
    raise AssertionError(f"node-opcua has ended with {process.wait()}")
