// Tells every process that the models have changed.
MERGE (g:_Catalog {name: 'models'})
SET g.generation = coalesce(g.generation, 0) + 1, g.changedAt = datetime()
RETURN g.generation
