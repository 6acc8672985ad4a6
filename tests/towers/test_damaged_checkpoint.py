"""Checkpoints whose files are damaged: an error names the folder, whatever the library raises."""

import pytest
from transformers import CLIPModel

from stimage.core.errors import DataError
from stimage.towers.reading import read_config, read_processor, read_weights
from tests.towers.checkpoints import write_clip


@pytest.mark.parametrize(
    ("file", "text", "read"),
    [
        ("config.json", b"[]", read_config),
        ("preprocessor_config.json", b"[]", read_processor),
        ("model.safetensors", b"\x10\0\0\0\0\0\0\0{", lambda name: read_weights(CLIPModel, name)),
        ("model.safetensors", bytes(range(256)), lambda name: read_weights(CLIPModel, name)),
    ],
)
def test_a_damaged_file_of_a_checkpoint(tmp_path, file, text, read):
    folder = tmp_path / "clip"
    write_clip(folder)
    (folder / file).write_bytes(text)
    with pytest.raises(DataError, match=str(folder)):
        read(str(folder))
