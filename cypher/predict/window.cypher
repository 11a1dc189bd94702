// Condition signals of some components since a time. $dtIds, $from (epoch ms)
UNWIND $dtIds AS dtId
MATCH (part:Twin {dtId: dtId})
CALL (part) {
  MATCH (part)-[:_HISTORY]->(s:_Segment)
  WHERE s._to >= $from
  RETURN collect(s { ._from, ._dt, .vibrationMean, .vibrationStd, .temperature, .errorCount, .load, .oilParticleCount,
    .greaseParticleCount, .dissolvedGas, ._dt_vibrationMean, ._dt_vibrationStd, ._dt_temperature, ._dt_errorCount,
    ._dt_load, ._dt_oilParticleCount, ._dt_greaseParticleCount, ._dt_dissolvedGas }) AS segments
}
RETURN collect([dtId, segments]) AS rows
