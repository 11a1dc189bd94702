// The number that grows with every change of the models, and the layout of the graph; both null where no models were loaded.
OPTIONAL MATCH (g:_Catalog)
RETURN max(toIntegerOrNull(g.generation)), max(toIntegerOrNull(g.layout))
