"""Real servers that only tests and benches need, started by them and stopped after."""
