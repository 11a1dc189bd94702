"""python -m bench.publisher PORT RATE SECONDS TWINS NAME: ten-signal JSON at QoS 1, as light as Python can: packets are written
to a bare socket, acknowledgements counted. A client library would be most of what is measured. Ends with: sent, acked."""

import socket
import struct
import sys
import threading
import time

WINDOW = 20_000
CHUNK = 100
SIGNALS = (
    "windSpeed",
    "windDirection",
    "power",
    "rotorSpeed",
    "generatorSpeed",
    "pitchAngle",
    "nacelleAngle",
    "vaneAngle",
    "outdoorTemperature",
    "powerLimit",
)
BODY = "".join(f', "{name}": {8.3 + k}' for k, name in enumerate(SIGNALS))


def packet(topic: bytes, identifier: int, at: int) -> bytes:
    payload = f'{{"ts": {at}{BODY}}}'.encode()
    rest = struct.pack(">H", len(topic)) + topic + struct.pack(">H", identifier) + payload
    length, size = b"", len(rest)
    while True:
        size, low = divmod(size, 128)
        length += bytes([low | (0x80 if size else 0)])
        if not size:
            return b"\x32" + length + rest


class Publisher:
    def __init__(self, port: int, name: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        identifier = name.encode()
        body = b"\x00\x04MQTT\x04\x02\x00\x00" + struct.pack(">H", len(identifier)) + identifier
        self.socket.sendall(b"\x10" + bytes([len(body)]) + body)
        self.socket.recv(4)
        self.sent = self.acked = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        left = 0
        while data := self.socket.recv(65536):
            acked, left = divmod(left + len(data), 4)
            self.acked += acked

    def run(self, rate: float, seconds: float, twins: int) -> None:
        topics = [f"bench/f/u{i}/telemetry".encode() for i in range(twins)]
        started, first, step = time.perf_counter(), time.time() * 1000, 1000 / rate
        while (passed := time.perf_counter() - started) < seconds:
            due = min(int(passed * rate), self.acked + WINDOW) - self.sent
            if due < CHUNK:
                time.sleep(0.002)
                continue
            due = min(due, 5000)
            numbers = range(self.sent, self.sent + due)  # each at the time it is due: no twin repeats an instant
            made = [packet(topics[number % twins], number % 65535 + 1, int(first + number * step)) for number in numbers]
            self.socket.sendall(b"".join(made))
            self.sent += due
        ends = time.perf_counter() + 60
        while self.acked < self.sent and time.perf_counter() < ends:
            time.sleep(0.05)


if __name__ == "__main__":
    port, rate, seconds, twins, name = sys.argv[1:]
    publisher = Publisher(int(port), name)
    publisher.run(float(rate), float(seconds), int(twins))
    print(publisher.sent, publisher.acked)
