"""The `ner` proto packages."""
