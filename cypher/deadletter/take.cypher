// Takes messages out, in the transaction that writes what they have become. $ids
MATCH (d:_DeadLetter) WHERE d.id IN $ids
DELETE d
