"""The mapping file: which addresses are which twins, and what their fields mean.

In: a YAML file, the models. Out: a Mapping; for an address its route.

    declaration  the file as frozen values; validated, with clear errors
    match        address → route (twin, model, what kind), remembered per address
    convert      a field's value → its signal's
    units        unit → unit
"""
