"""The made-up sentences that come with the package."""

from pathlib import Path

from training.data import ENTITY_TYPES
from training.data_folder import find_sets, read_corpus, read_training_corpora
from training.sample.generate import SAMPLE, main


def test_the_sample_is_what_its_generator_writes(tmp_path: Path) -> None:
    main(tmp_path)
    written = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.json*"))
    assert written == sorted(path.relative_to(SAMPLE) for path in SAMPLE.rglob("*.json*"))
    for path in written:
        assert (tmp_path / path).read_bytes() == (SAMPLE / path).read_bytes()


def test_the_sample_can_be_trained_on() -> None:
    """All types are there, one set leaves one out, and nothing is both learned and measured."""
    sources = find_sets(SAMPLE)
    assert [sorted(source.unlabelled_types) for source in sources] == [[], ["MISC"]]
    trained = [e for c in read_training_corpora(SAMPLE, sources) for e in c.examples]
    measured = [e for s in sources for e in read_corpus(SAMPLE, s, "dev").examples]
    assert (len(trained), len(measured)) == (300, 80)
    for examples in (trained, measured):
        assert {span.label for e in examples for span in e.spans} == set(ENTITY_TYPES)


def test_dev_sentences_hold_names_that_were_not_learned() -> None:
    """Else remembering would look like learning."""
    sources = find_sets(SAMPLE)
    names = {
        split: {
            e.text[s.start : s.end]
            for source in sources
            for e in read_corpus(SAMPLE, source, split).examples
            for s in e.spans
        }
        for split in ("train", "dev")
    }
    assert len(names["dev"] - names["train"]) > 20
