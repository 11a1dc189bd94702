// Every stored interface with its label and text, and the generation of the whole.
OPTIONAL MATCH (g:_Catalog)
CALL () { MATCH (i:_Interface) WHERE i.source IS NOT NULL RETURN collect([i.dtmi, i.label, i.source, i.place, i.decommissioned IS NOT NULL]) AS models }
RETURN coalesce(g.generation, 0) AS generation, models
