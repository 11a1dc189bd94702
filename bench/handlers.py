"""What a user of FastStream would write: a handler a message, or a batch of them, one UNWIND each.

`python bench/handlers.py SERVER NEO4J_URI PASSWORD MESSAGES one|batch` tells seconds. bench.kafka runs it, with the
interpreter that BENCH_FASTSTREAM names: FastStream is no dependency of ours."""

import asyncio
import sys
import time
from typing import Any

import orjson
from faststream.confluent import KafkaBroker
from neo4j import AsyncGraphDatabase

SERVER, URI, PASSWORD, MESSAGES, KIND = sys.argv[1:]
TEXT = "UNWIND $rows AS row CREATE (r:Reading) SET r = row"
broker = KafkaBroker(SERVER, logger=None)
driver = AsyncGraphDatabase.driver(URI, auth=("neo4j", PASSWORD))
done, first = 0, 0.0
ended = asyncio.Event()


async def write(rows: list[dict[str, Any]]) -> None:
    global done, first
    first = first or time.perf_counter()
    await driver.execute_query(TEXT, rows=rows)
    done += len(rows)
    if done >= int(MESSAGES):
        ended.set()


if KIND == "one":

    @broker.subscriber("bench", group_id=f"faststream-{KIND}", auto_offset_reset="earliest")
    async def one(body: Any) -> None:
        await write([orjson.loads(body) if isinstance(body, bytes) else body])
else:

    @broker.subscriber("bench", group_id=f"faststream-{KIND}", auto_offset_reset="earliest", batch=True, max_records=1000)
    async def some(bodies: list[Any]) -> None:
        await write([orjson.loads(body) if isinstance(body, bytes) else body for body in bodies])


async def main() -> None:
    await broker.start()
    await ended.wait()
    print(f"seconds {time.perf_counter() - first}")
    await broker.stop()
    await driver.close()


asyncio.run(main())
