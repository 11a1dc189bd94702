// Tells every process that the models have changed. $layout: of the graph, as this version writes it
OPTIONAL MATCH (o:_Catalog)
WITH coalesce(max(toIntegerOrNull(o.generation)), 0) AS most
MERGE (g:_Catalog {name: 'models'})
SET g.generation = most + 1, g.layout = $layout, g.changedAt = datetime()
RETURN g.generation
