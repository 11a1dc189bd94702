"""Prognosis: from the graph's history to health, expected failure time and confidence, and back onto the graph.

In: ten-minute bins of the condition signals over the last day. Out: telemetry `healthScore`, `expectedFailureTime`,
`confidence`, `modelVersion` on each component and, rolled up, on its turbine and farm, by the ordinary write path.

    declaration  kinds and signals, from `prognosis.yaml` beside the models
    windows   history of the graph → bins; incremental, in memory
    features  a window of bins → one row of numbers per component
    hazard    LightGBM discrete-time hazard: P(failure in each interval ahead), with censoring
    score     model + features → prognoses, rolled up along the graph
    schedule  every minute: windows → score → twins.write

Health is the probability of running two more weeks without failure. The expected failure time is the median of the
predicted distribution, given when it lies within the horizon of thirty days. Confidence is read off assets kept out
of training: how often predictions with that probability came true (a reliability table, split by asset).
"""
