// Every stored interface with its label, text, place and whether it is decommissioned, and the generation of the whole.
CALL () {
  OPTIONAL MATCH (g:_Catalog)
  RETURN max(toIntegerOrNull(g.generation)) AS generation
}
CALL () {
  MATCH (i:_Interface)
  WHERE i.dtmi IS :: STRING NOT NULL
  RETURN collect([i.dtmi, i.label, i.source, i.place, i.decommissioned IS NOT NULL]) AS models
}
RETURN coalesce(generation, 0) AS generation, models
