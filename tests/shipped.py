"""The model of this repository, whichever version it is of."""

from pathlib import Path
from typing import Final

NAME: Final = "ner-en"
MODELS: Final = Path(__file__).parents[1] / "models"
FOLDER: Final = max((MODELS / NAME).iterdir(), key=lambda folder: int(folder.name))
VERSION: Final = FOLDER.name
