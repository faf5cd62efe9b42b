"""The command `python -m training.sample.generate`, which writes the sample's files again."""

import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SAMPLE = Path(__file__).parent
_SEED = 20250302
# Of the names: dev sentences also draw from these, train sentences never do.
_HELD_OUT_SHARE = 0.25
_SLOT = re.compile(r"\{(PER|ORG|LOC|MISC)\}")
_LICENCE = "CC0-1.0"

_FIRST = (
    "Adela Bram Corin Delphine Edgar Farida Gustav Hana Ivo Jorun Kasimir Lena Mirek Noor Otto "
    "Petra Quentin Rosa Stellan Tamsin Ulf Vera Wendel Yara"
).split()
_LAST = (
    "Abbotsley Brandvik Castellan Dorne Ekström Fennimore Galloway Hartnell Ivanek Jessop "
    "Kovarik Lindqvist Marchetti Nwosu O'Dell Pemberton Quayle Rask Sorrel Tveit Underhay "
    "Vashti Wickham Zeller"
).split()
_LOCATIONS = (
    "Port Elvane|Brackwater|Novy Dol|San Alvaro|Kestrel Bay|Lower Harrow|Tamarisk Island|Ostmark|"
    "Velinga|Mount Sable|Grenholm|River Orne|Dunmarsh|Al Qasira|Fort Lannick|Westhaven|Pellagos|"
    "Lake Ildris|Cape Morrow|Zarevo|North Calder|Yellow Fork|Belmora|Stonegate"
).split("|")
_ORGANISATIONS = (
    "Halvorsen Shipping|Tidewater Bank|Orbis Foods|University of Grenholm|Kestrel Airways|Lumina|"
    "Novy Dol United|Ministry of Harbours|Red Lantern Society|Castellan & Sons|Ferrum Steel|PQR|"
    "Westhaven Rovers|Blue Heron Press|Dunmarsh City Council|Quillon Motors|Arcadia Records|"
    "Institute for Tidal Research|Mossback Software|Free Harbour Party|Ostmark Railways|"
    "Verity Labs|Pellagos Chamber of Commerce|Saltmarsh Brewing"
).split("|")
_MISCELLANEOUS = (
    "Velingan|Belmoran|Ostmarker|Harbour Cup|Treaty of Zarevo|Quillon 500|Night Tide|Marrow Prize|"
    "Pellagian|Festival of Lanterns|The Salt Road|Lumina One|Grenholm Marathon|Battle of Dunmarsh|"
    "Letters to Yara|Tidal Act|Calderite|Heron Award|Alvaran|Stonegate Derby"
).split("|")

_NEWS = (
    "{PER} met {PER} in {LOC} on Monday.",
    "{ORG} opened an office in {LOC}, said {PER}.",
    "{PER}, who leads {ORG}, was born in {LOC}.",
    "Shares of {ORG} fell after {ORG} cut its forecast.",
    "{ORG} named {PER} as its new chair.",
    "The road from {LOC} to {LOC} is closed until spring.",
    "{PER} won the {MISC} for a second time.",
    "Voters in {LOC} rejected the {MISC} by a narrow margin.",
    "{ORG} of {LOC} beat {ORG} 3-1 in the {MISC}.",
    'In "{MISC}", {PER} describes a winter near {LOC}.',
    "{PER}'s lawyers said that {ORG} owed him two years of pay.",
    "A {MISC} ship left {LOC} with grain for {LOC}.",
    "{ORG} and {ORG} will share a laboratory in {LOC}.",
    "Heavy rain is expected around {LOC} tonight.",
    "The talks ended without a result, and no date was set for more.",
    "Prices rose by 2.5 percent in the third quarter.",
    "{PER} ({ORG}) told reporters that the bridge at {LOC} was safe.",
    "The {MISC} was signed by {PER} and {PER} in {LOC}.",
    "Former minister {PER} joined the board of {ORG}.",
    "{LOC} : {ORG} said on Friday it had sold its share in {ORG} .",
)
_POSTS = (
    "just landed in {LOC}, it's freezing",
    "{PER} was so good last night!!",
    "anyone else waiting for {ORG} to answer the phone?",
    "so {ORG} bought {ORG}. didn't see that coming",
    "reading {MISC} again, {PER} is a genius",
    "RT: {PER} live from {LOC} at 8",
    "can't sleep, thinking about pancakes",
    "why is every train to {LOC} late, {ORG}?",
    "my cousin got a job at {ORG} in {LOC} :)",
    "{MISC} tickets are gone already :(",
    "happy birthday {PER}! see you in {LOC}",
    "new phone who dis",
    "the {MISC} was a mess this year, sorry {LOC}",
    "met {PER} and {PER} outside the {ORG} building",
)


@dataclass(frozen=True, slots=True)
class SampleSet:
    """A set to write."""

    name: str
    title: str
    templates: Sequence[str]
    unlabelled_types: tuple[str, ...]
    n_train: int
    n_dev: int


SETS = (
    SampleSet("sample_news", "Made-up news", _NEWS, (), 200, 50),
    # As many real sets do, this one leaves a type out.
    SampleSet("sample_posts", "Made-up posts", _POSTS, ("MISC",), 100, 30),
)


class Names:
    """Draws names; for a train split only such as are not held out."""

    def __init__(self, rng: random.Random, *, held_out: bool) -> None:
        self._rng = rng
        self._held_out = held_out

    def draw(self, kind: str) -> str:
        """A name of a type."""
        if kind == "PER":
            last = self._one(_LAST)
            return last if self._rng.random() < 0.25 else f"{self._one(_FIRST)} {last}"
        lists = {"LOC": _LOCATIONS, "ORG": _ORGANISATIONS, "MISC": _MISCELLANEOUS}
        return self._one(lists[kind])

    def _one(self, names: Sequence[str]) -> str:
        n_train = round(len(names) * (1 - _HELD_OUT_SHARE))
        return self._rng.choice(names if self._held_out else names[:n_train])


def main(folder: Path = SAMPLE) -> None:
    """Writes the label map and the sets.

    Args:
        folder: gets them, over those that are there.
    """
    rng = random.Random(_SEED)  # noqa: S311 - keeps no secret
    label_map = {}
    for sample in SETS:
        kinds = [k for k in ("PER", "ORG", "LOC", "MISC") if k not in sample.unlabelled_types]
        label_map[sample.name] = {kind: kind for kind in kinds}
        place = folder / sample.name
        place.mkdir(parents=True, exist_ok=True)
        about = {
            "title": sample.title,
            "licence": _LICENCE,
            "unlabelled_types": list(sample.unlabelled_types),
        }
        (place / "set.json").write_text(json.dumps(about, indent=1) + "\n", "utf-8")
        # A text stands once, so that no sentence is both learned and measured.
        written: set[str] = set()
        for split, n in (("train", sample.n_train), ("dev", sample.n_dev)):
            names = Names(rng, held_out=split == "dev")
            lines = list(_lines(sample, split, n, names, rng, written))
            (place / f"{split}.jsonl").write_text("".join(lines), "utf-8")
    content = json.dumps({"to_conll4": label_map}, indent=1) + "\n"
    (folder / "label_map.json").write_text(content, "utf-8")


def _lines(
    sample: SampleSet, split: str, n: int, names: Names, rng: random.Random, written: set[str]
) -> Iterator[str]:
    i = 0
    attempts = 0
    while i < n:
        attempts += 1
        if attempts > 100 * n:
            raise RuntimeError(f"{sample.name}: too few templates for {n} sentences")
        text, spans = _filled(rng.choice(sample.templates), names, sample.unlabelled_types)
        if text in written:
            continue
        written.add(text)
        record = {"id": f"{split}-{i}", "text": text, "spans": spans}
        yield json.dumps(record, ensure_ascii=False) + "\n"
        i += 1


def _filled(
    template: str, names: Names, unlabelled_types: Sequence[str]
) -> tuple[str, list[dict[str, int | str]]]:
    text = ""
    spans: list[dict[str, int | str]] = []
    end = 0
    for slot in _SLOT.finditer(template):
        text += template[end : slot.start()]
        name = names.draw(slot[1])
        if slot[1] not in unlabelled_types:
            spans.append({"start": len(text), "end": len(text) + len(name), "label": slot[1]})
        text += name
        end = slot.end()
    return text + template[end:], spans


if __name__ == "__main__":
    main()
