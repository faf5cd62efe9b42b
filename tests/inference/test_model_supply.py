"""Where the models come from, as the settings say."""

from pathlib import Path

import pytest

from inference.errors import ModelInvalid
from inference.model_supply import supply_of
from inference.settings import Settings


@pytest.mark.parametrize("inside", [".", "models"])
def test_where_no_folder_can_be_for_what_is_fetched_the_variable_is_named(
    tmp_path: Path, inside: str
) -> None:
    file = tmp_path / "file"
    file.touch()
    settings = Settings(models_dir=file / inside, model_source="s3://bucket/prefix")
    with pytest.raises(ModelInvalid, match=r"^INFERENCE_MODELS_DIR: .*must be a folder"):
        supply_of(settings, 1)
