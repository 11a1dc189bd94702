// A decommissioned model keeps its twins, but takes no new ones. $dtmi, $since (null: in use again)
MATCH (i:_Interface {dtmi: $dtmi})
SET i.decommissioned = $since
