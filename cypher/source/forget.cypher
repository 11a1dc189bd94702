// Forgets sources that have not reported for a day.
MATCH (s:_Source) WHERE s.at < datetime() - duration({days: 1})
DELETE s
RETURN count(s) AS forgotten
