"""Farms, turbines and components: who is who, and how they are related."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from app.twins.edit import NewRelationship, NewTwin

RATED_POWER = 3300.0
FARMS = (
    ("Altenkirchen Nord", "Rügen", 54.63, 13.35), ("Bremerförde", "Lower Saxony", 53.49, 9.14),
    ("Cap Breton", "Brittany", 48.32, -4.61), ("Dunmore Ridge", "County Galway", 53.62, -8.74),
    ("Eskdale Moor", "Dumfries", 55.27, -3.18), ("Fanø Vest", "Jutland", 55.41, 8.38),
    ("Gotska Udde", "Gotland", 57.92, 19.18), ("Hautmont", "Picardy", 50.14, 3.04),
    ("Isla Blanca", "Galicia", 43.31, -8.52), ("Jäderberg", "Ostrobothnia", 63.11, 21.73),
    ("Karpacz Wschód", "Silesia", 50.79, 15.81), ("Langeoog Süd", "East Frisia", 53.72, 7.53),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kind:
    """`vibration` at rated load [m/s²], `rise` of temperature at rated load [K], the kind's own signals."""

    suffix: str
    label: str
    vibration: float
    rise: float
    wear: str  # signal that counts what wears off; empty where there is none
    own: tuple[tuple[str, float, float], ...]  # (signal, at rest, added at rated load)


KINDS = (
    Kind("gearbox", "Gearbox", 2.4, 42, "oilParticleCount", (("oilTemperature", 22, 38), ("oilQuality", 0.95, -0.02))),
    Kind("generator", "Generator", 1.8, 55, "", (("windingTemperature", 25, 70), ("current", 10, 2700))),
    Kind("mainBearing", "MainBearing", 1.1, 24, "greaseParticleCount", ()),
    Kind("blade", "Blade", 0.9, 4, "", (("rootBendingMoment", 4.0e5, 5.6e6),)),
    Kind("pitchSystem", "PitchSystem", 0.7, 18, "", (("motorCurrent", 1.5, 14), ("batteryVoltage", 288, -4))),
    Kind("yawSystem", "YawSystem", 0.6, 15, "", (("motorCurrent", 0.8, 9),)),
    Kind("converter", "Converter", 0.3, 38, "", (("dcLinkVoltage", 1050, 40),)),
    Kind("transformer", "Transformer", 0.5, 34, "dissolvedGas", (("oilTemperature", 20, 45),)),
)


@dataclass(frozen=True, slots=True)
class Layout:
    farms: int
    turbines: int  # in each farm

    @property
    def count(self) -> int:
        return self.farms * self.turbines

    @property
    def mqtt_farms(self) -> int:
        """The first ones; where there are several, the last speaks OPC UA."""
        return max(1, self.farms - 1)

    def farm(self, farm: int) -> str:
        return f"wf{farm + 1:02d}" if farm < self.mqtt_farms else f"ua{farm + 1:02d}"

    def turbine(self, index: int) -> str:
        """Within its farm; the dtId is `<farm>-<turbine>`."""
        return f"t{index % self.turbines + 1:02d}"

    def turbine_id(self, index: int) -> str:
        return f"{self.farm(index // self.turbines)}-{self.turbine(index)}"

    def twins(self) -> Iterator[NewTwin]:
        today = datetime(2021, 5, 1, tzinfo=UTC).date().isoformat()
        for farm in range(self.farms):
            name, region, latitude, longitude = FARMS[farm % len(FARMS)]
            place = {"latitude": latitude, "longitude": longitude}
            rated = RATED_POWER * self.turbines
            farm_id = self.farm(farm)
            yield NewTwin(farm_id, "WindFarm", {"name": name, "region": region, "ratedPower": rated, **place})
            yield NewTwin(f"{farm_id}-substation", "Substation", {"name": f"{name} UW", "nominalVoltage": 110.0})
        for index in range(self.count):
            dt_id, name = self.turbine_id(index), self.turbine_id(index).upper()
            _, _, latitude, longitude = FARMS[index // self.turbines % len(FARMS)]
            row, column = divmod(index % self.turbines, 7)
            place = {"latitude": round(latitude + row * 0.006, 4), "longitude": round(longitude + column * 0.009, 4)}
            sizes = {"ratedPower": RATED_POWER, "hubHeight": 112.0, "rotorDiameter": 130.0, **place}
            maker = {"manufacturer": "Nordlicht", "serialNumber": f"NL-{index:05d}", "commissioned": today}
            yield NewTwin(dt_id, "Turbine", {"name": name, **sizes, **maker})
            for kind in KINDS:
                serial = {"serialNumber": f"{kind.label[:2].upper()}-{index:05d}"}
                yield NewTwin(f"{dt_id}-{kind.suffix}", kind.label, {"name": f"{name} {kind.suffix}", **serial})

    def relationships(self) -> Iterator[NewRelationship]:
        for farm in range(self.farms):
            yield NewRelationship(self.farm(farm), "hasComponent", f"{self.farm(farm)}-substation")
        for index in range(self.count):
            owner, dt_id = self.farm(index // self.turbines), self.turbine_id(index)
            yield NewRelationship(owner, "contains", dt_id)
            yield NewRelationship(dt_id, "feeds", f"{owner}-substation")
            for kind in KINDS:
                yield NewRelationship(dt_id, "hasComponent", f"{dt_id}-{kind.suffix}")
