// What holds a model: its twins, and models that extend it, hold it as a component or point at it. $dtmi
OPTIONAL MATCH (t:Twin) WHERE t._model = $dtmi
WITH count(t) AS twins
OPTIONAL MATCH (m:_Interface)-[:_EXTENDS|_HAS|_TARGET*1..2]->(:_Interface {dtmi: $dtmi}) WHERE m.dtmi <> $dtmi
RETURN twins, collect(DISTINCT m.dtmi) AS models
