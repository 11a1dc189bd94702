"""The fleet that stands in for hardware: a seeded physical model of wind farms, publishing as real devices do.

In: a seed, sizes, a clock. Out: MQTT messages, an OPC UA server, answers to commands; the truth on the side.

    layout      farms, turbines, components: identifiers, twins, relationships
    weather     wind per farm: slow changes, turbulence, wakes
    damage      the hidden state of each component: onset, gamma process driven by load, failure, repair
    fleet       one step of everything; observables with noise and dropouts
    history     an accelerated run, as history for training or for the first day of a demo
    messages    values as devices send them
    training    an accelerated run → cases → a trained model of `app.predict`
    publish     MQTT: telemetry, events, commands obeyed and answered
    controller  the OPC UA server of one farm
    running     the clock: steps and publishes, saves its state

A component is healthy until its onset, which comes at random and sooner under load; then its damage grows as a gamma
process towards failure in 3 to 30 days. Observables follow damage and load. Onset and failure times are the truth: they
go to `truth.csv` in the state folder for scoring and never into the graph.
"""
