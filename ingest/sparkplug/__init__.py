"""Sparkplug B 3.0 host application.

In: births, data and deaths of edge nodes. Out: readings; rebirth requests and commands.

    source   births, aliases, order, rebirths, deaths; commands out
    payload  its protobuf payloads
    sparkplug_pb2  their messages, written by `make proto` from sparkplug.proto
"""
