"""Bytes → records: each the fields of one moment, and its time.

In: bytes of a message. Out: fields and time of each record, or MessageError.

    unpack        compressed bodies → bytes
    decode        JSON, CSV, MessagePack, CloudEvents → records
    avro          as Kafka's schema registries frame it
    lineprotocol  InfluxDB's
    remotewrite   Prometheus'
    prometheus_pb2  its messages, written by `make proto` from prometheus.proto
    quality       what a source says of a value → Good, Uncertain, Bad
"""
