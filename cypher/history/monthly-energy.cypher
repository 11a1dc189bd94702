// Energy [kWh] and mean wind [m/s] of each turbine and UTC month, from ten-minute means.
MATCH (t:Turbine)-[:_HISTORY]->(s:_Segment)
WHERE s.power IS NOT NULL AND s.windSpeed IS NOT NULL
WITH t, s, coalesce(s._dt_power, s._dt) AS offsets
UNWIND range(0, size(s.power) - 1) AS i
WITH t, datetime.truncate('month', datetime({epochMillis: s._from + offsets[i]})) AS month, s.power[i] AS power,
  s.windSpeed[i] AS wind
RETURN t.name AS turbine, toString(date(month)) AS month, sum(power) / 6 AS kilowattHours, avg(wind) AS meanWind
ORDER BY turbine, month
