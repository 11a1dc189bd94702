// Takes a model out of the graph. $dtmi
MATCH (i:_Interface {dtmi: $dtmi})
OPTIONAL MATCH (i)-[:_HAS]->(c:_Content)
DETACH DELETE c, i
