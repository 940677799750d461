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
    "Mackerel clouds marched over at sunrise",
    "Sleet rattled against the glass since four",
    "A rainbow stood on the quarry for a quarter of an hour",
    "Drizzle, then a watery brightness",
    "The sky was clear until noon",
    "Low cloud lay on the hill the whole morning",
    "Thin high cloud came over before breakfast",
    "There was fog on the water, and the horn sounded every minute",
    "Broken cloud, with sun on the far shore",
    "The sky stayed the colour of slate",
)
SEAS = (
    "surf thundered in the caves below",
    "a confused chop made landing difficult",
    "kelp and timber lay thick along the strand",
    "the sea was quiet",
    "a long swell ran in from the open water",
    "short steep waves broke over the outer rocks",
    "the tide stood higher than the tables say",
    "the harbour lay as flat as a plate",
    "white water showed along the reef",
)
WORKS = (
    "sewed a canvas cover for the signal gun",
    "split kindling and stacked it under the stairs",
    "copied last month's tables in a fair hand",
    "polished every prism and counted them twice",
    "tarred the roof of the privy, a thankless errand",
    "taught the assistant his knots and his logarithms",
    "dug forty pounds of potatoes",
    "fastened a loose stone on the breakwater",
    "tested the fog signal and frightened the hens",
    "washed blankets, the weather permitting",
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
    "a whale blew {m} times beyond the bell buoy",
    "three schooners beat up the channel under reefed topsails",
    "a swarm of starlings settled on the balcony rail, {n} by my estimate",
    "the survey party landed with tripods and {m} crates of brass instruments",
    "porpoises kept company with the pilot cutter for {m} miles",
    "a painter from the city set up an easel and quarrelled with the wind",
    "we found {n} eggs under the eastern ledge and left them where they were",
    "an empty dory floated past, upside down, with moss on her keel",
    "smoke rose behind the headland until somebody remembered it was harvest",
    "the doctor rowed across to look at the assistant's thumb",
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
    "The kettle boiled dry while I was on the gallery, which will not happen twice.",
    "Somebody had left a parcel of newspapers at the gate, {n} days old and very welcome.",
    "The inspector wrote that our figures agree with those of the mainland to a hair.",
    "At dusk a thin ring stood round the moon, and the old men say that means snow.",
    "Two panes on the seaward side are cracked; putty and patience will have to do.",
    "We ate the last of the salted herring and opened the barrel of apples.",
    "Thunder was heard at {m} o'clock, far out, without any lightning that we could see.",
    "The goat broke her rope, visited every garden and came home by herself at supper.",
    "I have begun to carve a chess set out of driftwood; the knights give me trouble.",
    "A bottle drifted ashore with a letter in it, but salt had eaten all the ink.",
    "Our fiddle lost a string, so the evening was spent on arithmetic instead.",
    "Frost painted ferns inside the windows, and the pump had to be thawed with a candle.",
    "My brother's letter speaks of railways and taxes; both seem to belong to another planet.",
    "We measured the cliff path again: it has become {n} inches narrower since spring.",
    "The barometer needs a new tube, and I need a new pair of boots.",
    "Phosphorescence in the bay after midnight, bright enough to read a page by.",
    "The cat has taken a dislike to the assistant, who pretends not to notice.",
    "Nothing rusts so fast as a promise, my predecessor wrote on this page, and a hinge.",
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
