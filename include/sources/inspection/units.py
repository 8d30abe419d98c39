"""The units that files write, and what the spec calls them."""

from __future__ import annotations

from include.spec import fields

NO_MEASURES = {"1", "code", "text", "flag", "UTC", "sensor"}  # units of ours that no file means
WORDS = {"lx", "lm", "cd", "hr", "deg", "degree", "degrees", "hours", "days", "seconds", "knots", "mbar", "Pa"}
UNITS = {unit.lower(): unit for unit in fields.UNITS - NO_MEASURES}
UNITS |= {
    "mg/m^3": "mg/m3", "mg/m³": "mg/m3", "µg/m3": "ug/m3", "μg/m3": "ug/m3", "µg/m³": "ug/m3", "μg/m³": "ug/m3",
    "ug/m^3": "ug/m3", "microg/m^3": "ug/m3", "g/m^3": "g/m3", "g/m³": "g/m3", "°c": "degC", "ºc": "degC", "c": "degC",
    "m s-1": "m/s", "m.s-1": "m/s", "m s^-1": "m/s", "mps": "m/s", "kmh": "km/h", "kph": "km/h", "mbar": "hPa",
    "percent": "%", "porcentaje": "%", "pesos": "MXN", "m³": "m3", "litros": "l", "sec": "s", "seconds": "s",
    "hrs": "hours", "h": "hours", "d": "days", "días": "days", "dias": "days",
}  # fmt: skip
