// The number that grows with every change of the models.
OPTIONAL MATCH (g:_Catalog) RETURN coalesce(g.generation, 0)
