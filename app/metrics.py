"""Every metric by name. With PROMETHEUS_MULTIPROC_DIR set, all processes of a stack are answered by one endpoint."""

import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess
from prometheus_client.registry import REGISTRY

SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10)
SIZES = (1, 3, 10, 30, 100, 300, 1000, 3000, 10000)

MESSAGES = Counter("twingraph_ingest_messages", "Messages committed and acknowledged", ["source"])
VALUES = Counter("twingraph_ingest_values", "Values made durable", ["source"])
AHEAD = Counter(
    "twingraph_ingest_ahead",
    "Twins whose latest values lay in the future, by a clock that was ahead, and follow again",
    ["source"],
)
DUPLICATES = Counter("twingraph_ingest_duplicates", "Values that were there already", ["source"])
REJECTED = Counter("twingraph_ingest_rejected", "Messages or values rejected, by reason", ["source", "code"])
DROPPED = Counter(
    "twingraph_ingest_dropped", "What a bounded queue had no room for: changes of OPC UA, messages of QoS 0", ["source"]
)
DROPPED_BY_BROKER = Gauge(
    "twingraph_broker_dropped", "Messages the broker says it has dropped, for any client", ["source"], multiprocess_mode="max"
)
PASSED_OVER = Counter("twingraph_graphql_passed_over", "States of twins that slow subscribers did not see: newer ones had come")
RETRIES = Counter("twingraph_ingest_retries", "Commits tried again because the database was away", ["source"])
RECONNECTS = Counter("twingraph_ingest_reconnects", "Connections to a source made anew", ["source"])
BATCH = Histogram("twingraph_ingest_batch_messages", "Messages in a batch", ["source"], buckets=SIZES)
COMMIT = Histogram("twingraph_ingest_commit_seconds", "Assembling and committing a batch", ["source"], buckets=SECONDS)
STAGE = Counter("twingraph_ingest_stage_seconds", "Time spent by stage", ["source", "stage"])
CERTIFICATE = Gauge(
    "twingraph_certificate_seconds", "Until a certificate of a source expires", ["file"], multiprocess_mode="mostrecent"
)
REQUESTS = Counter("twingraph_graphql_requests", "GraphQL operations by kind and outcome", ["kind", "outcome"])
REQUEST_SECONDS = Histogram("twingraph_graphql_seconds", "GraphQL operations", ["kind"], buckets=SECONDS)
PLANS = Counter("twingraph_graphql_plans", "Plan cache", ["result"])
HTTP_REFUSED = Counter("twingraph_http_refused", "Requests refused before they were read, by reason", ["reason"])
LOGINS = Counter("twingraph_logins_refused", "Requests refused for their credentials, by reason", ["reason"])
QUEUED = Gauge("twingraph_queued_operations", "Operations that wait for a thread", multiprocess_mode="livesum")
ENDLESS = Counter("twingraph_ingest_endless", "Answers of a peer that were given up, as they did not end", ["what"])
DISK_FREE = Gauge("twingraph_disk_free_bytes", "Room on the disk of the state folder", multiprocess_mode="mostrecent")
CLOCK_JUMPS = Counter("twingraph_clock_jumps", "Jumps of the host's clock by more than five seconds")
CLOCK_OFFSET = Gauge("twingraph_clock_offset_seconds", "Database's clock less the host's", multiprocess_mode="mostrecent")
OVERDUE = Counter("twingraph_overdue_operations", "Operations whose deadline has passed")
REFUSED = Counter("twingraph_graphql_refused", "Requests of clients that ask too much")
FEED_READS = Counter("twingraph_feed_reads", "Reads of what has changed in the graph, for subscriptions, commands and models")
SUBSCRIBERS = Gauge("twingraph_graphql_subscribers", "Open subscriptions", multiprocess_mode="livesum")
COMMANDS = Counter("twingraph_commands", "Commands by outcome", ["status"])
COMPACTED = Counter("twingraph_history_compacted_segments", "Segments joined into longer ones")
COMPACTION = Counter("twingraph_history_compaction_seconds", "Time spent looking for and joining segments")
MALFORMED = Counter("twingraph_graph_malformed", "Nodes of the graph that a reader has passed over, by kind", ["kind"])
SCORED = Counter("twingraph_predict_scored", "Components scored")
SCORE_SECONDS = Histogram("twingraph_predict_seconds", "Scoring the whole fleet", buckets=SECONDS)


def exposition() -> bytes:
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
