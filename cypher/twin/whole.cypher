// Twins with their components and outgoing relationships, in the order of their ids. $dtIds (null: all), $after, $first
MATCH (t:Twin) WHERE ($dtIds IS NULL OR t.dtId IN $dtIds) AND t.dtId > $after
WITH t ORDER BY t.dtId LIMIT $first
RETURN t.dtId, properties(t),
  [(t)-[r]->(c:Component) | [type(r), properties(c)]],
  [(t)-[r]->(other:Twin) | [type(r), other.dtId, properties(r)]]
