"""Write the example data: an invented station logbook (text) and its readings (CSV).

Nothing here is a measurement. The station, the weather and the keeper are made up by a small
grammar and a linear congruential generator in integer arithmetic, so that every Python writes
the same bytes:

    python3 examples/make_data.py examples/data
"""

from __future__ import annotations

import sys
from datetime import date, timedelta
from pathlib import Path

FIRST_DAY = date(1999, 1, 1)
LOG_DAYS = 365
READINGS_A_DAY = 8
STATIONS = ("harbour", "lighthouse", "moor", "quarry")

MONTHS = tuple(
    "January February March April May June July August September October November December".split()
)
WINDS = ("a light", "a steady", "a fresh", "a raw", "hardly any", "a shifting", "a strong")
QUARTERS = tuple("north north-east east south-east south south-west west north-west".split())
SKIES = (
    "The sky was clear until noon",
    "Low cloud lay on the hill the whole morning",
    "Thin high cloud came over before breakfast",
    "There was fog on the water, and the horn sounded every minute",
    "Broken cloud, with sun on the far shore",
    "The sky stayed the colour of slate",
)
SEAS = (
    "the sea was quiet",
    "a long swell ran in from the open water",
    "short steep waves broke over the outer rocks",
    "the tide stood higher than the tables say",
    "the harbour lay as flat as a plate",
    "white water showed along the reef",
)
WORKS = (
    "cleaned the lens and trimmed the lamp",
    "wound the clock and compared it with the signal at noon",
    "painted the railings on the west side",
    "carried oil up from the store",
    "mended the door of the boat house",
    "read the instruments at the usual hours",
    "wrote up the accounts for the quarter",
    "greased the bearings and changed the chart on the drum",
    "took the small boat out to look at the moorings",
    "set the new thermometer beside the old one to compare them",
)
SIGHTS = (
    "{n} gannets passed, all to the south",
    "a seal lay on the slip and would not move for us",
    "{n} fishing boats went out and {m} came back before dark",
    "a steamer went by without showing her name",
    "the mail boat brought {n} letters and a sack of flour",
    "the children from the village counted {n} crabs below the steps",
    "a coaster took shelter behind the island for {m} hours",
    "nothing was seen the whole day but gulls",
    "we saw the other light for the first time in {m} days",
    "geese came over in the evening, {n} of them in one line",
)
REMARKS = (
    "The glass fell by {n} points in the evening, so I made everything fast.",
    "The rain gauge held {n} tenths; I emptied it twice to be sure.",
    "The wind went round with the tide and was gone by night.",
    "I slept badly, as the shutters knocked until morning.",
    "The new assistant learns quickly and asks good questions.",
    "It was the sort of day that nobody remembers, and I was glad of it.",
    "The well is low; we shall have to ask for water if no rain comes.",
    "My hands were too cold to write until the stove was lit.",
    "If the readings are right, this was the mildest night of the month.",
    "We waited for the boat until {m} o'clock, and then we did not wait any more.",
)


class Chance:
    """A 64-bit linear congruential generator (multiplier and increment of Knuth's MMIX)."""

    def __init__(self, seed: int) -> None:
        self._state = seed

    def below(self, bound: int) -> int:
        self._state = (self._state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        return (self._state >> 33) % bound

    def pick(self, options: tuple[str, ...]) -> str:
        return options[self.below(len(options))]


def sentence(chance: Chance, template: str) -> str:
    return template.format(n=2 + chance.below(40), m=2 + chance.below(8))


def capital(text: str) -> str:
    return text[0].upper() + text[1:]


def logbook() -> str:
    chance = Chance(1999)
    lines = ["THE LOGBOOK OF A STATION THAT NEVER WAS", ""]
    for number in range(LOG_DAYS):
        day = FIRST_DAY + timedelta(days=number)
        lines.append(f"{MONTHS[day.month - 1]} {day.day}, {day.year}.")
        parts = [
            f"{chance.pick(SKIES)}, with {chance.pick(WINDS)} wind from the "
            f"{chance.pick(QUARTERS)}; {chance.pick(SEAS)}.",
            f"In the forenoon we {chance.pick(WORKS)}, and after dinner {chance.pick(WORKS)}.",
            f"{capital(sentence(chance, chance.pick(SIGHTS)))}.",
            sentence(chance, chance.pick(REMARKS)),
        ]
        if chance.below(3) == 0:
            parts.append(f"{capital(sentence(chance, chance.pick(SIGHTS)))}.")
        line = ""
        for word in " ".join(parts).split(" "):
            if line and len(line) + 1 + len(word) > 78:
                lines.append(line)
                line = word
            else:
                line = f"{line} {word}" if line else word
        lines += [line, ""]
    return "\n".join(lines)


def tenths(value: int) -> str:
    return f"{'-' if value < 0 else ''}{abs(value) // 10}.{abs(value) % 10}"


def readings() -> str:
    chance = Chance(2000)
    rows = ["date,hour,station,temperature_c,pressure_hpa,wind_ms,rain_mm"]
    for number in range(LOG_DAYS):
        day = FIRST_DAY + timedelta(days=number)
        # A year as a parabola, coldest at both ends: no floating point, no libm.
        season = 160 - (number - 200) * (number - 200) // 180
        for slot in range(READINGS_A_DAY):
            hour = slot * 24 // READINGS_A_DAY
            station = STATIONS[(number + slot) % len(STATIONS)]
            daily = 40 - (hour - 14) * (hour - 14) // 3
            temperature = season + daily + chance.below(41) - 20
            pressure = 10130 + chance.below(501) - 250
            wind = chance.below(60) + chance.below(90)
            rain = chance.below(80) if chance.below(5) == 0 else 0
            # One reading in a hundred was missed: an empty field, as real tables have them.
            shown = "" if chance.below(100) == 0 else tenths(temperature)
            rows.append(
                f"{day.isoformat()},{hour:02d},{station},{shown},"
                f"{tenths(pressure)},{tenths(wind)},{tenths(rain)}"
            )
    return "\n".join(rows) + "\n"


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "logbook.txt").write_bytes(logbook().encode())
    (folder / "readings.csv").write_bytes(readings().encode())


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "data"))
