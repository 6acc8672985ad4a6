"""The table of presets: each row can be, is in the documents, and pools and colours its images as it says."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import transformers as hf

import stimage
from stimage.core.errors import DataError
from stimage.towers.image_towers import load_tower
from stimage.towers.presets import COLUMNS, presets, read_presets
from tests.evaluation.scripts import run
from tests.evaluation.towers import SIZE, make_tower

OF_CLASS = {  # preset of transformers → the class of its model, by its configuration on the Hub
    "clip": "clip", "plip": "clip", "phikon": "vit", "phikon-v2": "dinov2", "midnight": "dinov2",
}  # fmt: skip
ROW = dict(zip(COLUMNS, (
    "mine", "me/mine", "transformers", "", "cls", "224", "0.5 0.5 0.5", "0.2 0.2 0.2", "", "768", "float32", "MIT", "",
    "paper",
)))  # fmt: skip
INDEX = json.dumps({"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}})


def write_table(path: Path, *rows: dict[str, str], columns=COLUMNS) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *(list(row.values()) for row in rows)])
    return path


def test_a_row_becomes_a_preset(tmp_path):
    (preset,) = read_presets(write_table(tmp_path / "p.csv", ROW | {"gated": "yes"})).values()
    assert (preset.name, preset.loader, preset.width, preset.gated, preset.own_code) == (
        "mine", "me/mine", 768, True, False,
    )  # fmt: skip
    assert preset.options.pooling == "cls" and preset.options.std == (0.2, 0.2, 0.2)


@pytest.mark.parametrize(("change", "message"), [
    ({"name": "Mine"}, "lower case"), ({"pooling": "CLS"}, "pooling='CLS'"), ({"mean": "0.5 0.5"}, "three numbers"),
    ({"mean": "127 127 127"}, "from 0 to 1"), ({"width": "long"}, "'long'"), ({"gated": "no"}, "gated='no'"),
    ({"own_code": "1"}, "own_code='1'"), ({"precision": "half"}, "precision='half'"),
    ({"model_args": "depth=2"}, "Expecting value"), ({"more": "x"}, "has not the 14 columns"),
])  # fmt: skip
def test_a_row_that_can_not_be_is_named(tmp_path, change, message):
    path = write_table(tmp_path / "p.csv", ROW | change)
    with pytest.raises(DataError, match=rf"p\.csv: preset '[mM]ine': .*{message}"):
        read_presets(path)


def test_a_short_row_a_lost_column_and_a_name_that_comes_twice(tmp_path):
    short = {key: value for key, value in ROW.items() if key != "source"}
    with pytest.raises(DataError, match="preset 'mine': the row has not the 14 columns"):
        read_presets(write_table(tmp_path / "short.csv", short))
    with pytest.raises(DataError, match="has not the 14 columns name, loader"):
        read_presets(write_table(tmp_path / "lost.csv", short, columns=COLUMNS[1:]))
    with pytest.raises(DataError, match="preset 'mine' is there twice"):
        read_presets(write_table(tmp_path / "twice.csv", ROW, ROW))


def test_each_preset_is_in_the_documents_and_loaded_by_the_package_it_names():
    page = Path(__file__).parents[2].joinpath("docs/reference/protocols.md").read_text()
    assert [name for name in presets() if f"`{name}`" not in page] == []
    for preset in presets().values():
        assert (preset.package == "timm") == preset.loader.startswith(("timm:", "hf-hub:")), preset.name


def test_each_preset_of_transformers_has_a_look_alike():
    of_transformers = {name for name, one in presets().items() if one.package == "transformers" and not one.own_code}
    assert set(OF_CLASS) == of_transformers


def look_alike(kind: str, folder: Path) -> torch.nn.Module:
    """Save a small model of a class without an image processor: the row has to say all of it."""
    if kind != "vit":
        make_tower(kind, folder)
        (folder / "preprocessor_config.json").unlink()
        return (hf.CLIPModel if kind == "clip" else hf.Dinov2Model).from_pretrained(folder).eval()
    torch.manual_seed(0)
    model = hf.ViTModel(hf.ViTConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64,
                                     image_size=SIZE, patch_size=8), add_pooling_layer=False).eval()  # fmt: skip
    model.save_pretrained(folder)
    return model


@pytest.mark.parametrize("name", OF_CLASS)
def test_a_preset_of_transformers_pools_and_colours_as_its_row_says(tmp_path, monkeypatch, name):
    preset, model = presets()[name], look_alike(OF_CLASS[name], tmp_path / name)
    options = replace(preset.options, size=SIZE)
    width = {"projection": 16, "cls": 32, "cls+mean": 64}[options.pooling]
    monkeypatch.setitem(presets(), name, replace(preset, loader=str(tmp_path / name), options=options, width=width))
    images = torch.randint(0, 256, (2, SIZE, SIZE, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    pixels = ((images / 255 - torch.tensor(options.mean)) / torch.tensor(options.std)).permute(0, 3, 1, 2)
    with torch.inference_mode():
        if options.pooling == "projection":
            want = model.visual_projection(model.vision_model(pixel_values=pixels).pooler_output)
        else:
            tokens = model(pixel_values=pixels).last_hidden_state
            mean = [tokens[:, 1:].mean(1)] if options.pooling == "cls+mean" else []
            want = torch.cat([tokens[:, 0], *mean], 1)
    tower = load_tower(name)
    assert tower.pooling == options.pooling and torch.allclose(tower.encode(images), want, atol=1e-5)


@pytest.mark.parametrize(("files", "lacks"), [
    ({}, "config.json and weights"),
    ({"config.json": "{}"}, "weights"),
    ({"config.json": "{}", "model.safetensors": ""}, ""),
    ({"config.json": "{}", "pytorch_model.bin": ""}, ""),
    ({"config.json": "{}", "model.safetensors.index.json": INDEX, "model-00001-of-00002.safetensors": ""}, "weights"),
    ({"config.json": "{}", "model.safetensors.index.json": INDEX, "model-00001-of-00002.safetensors": "",
      "model-00002-of-00002.safetensors": ""}, ""),
])  # fmt: skip
def test_a_preset_is_ready_when_its_weights_are_in_the_cache(monkeypatch, tmp_path, capsys, files, lacks):
    """Another program may have asked for the configuration alone, or a download was broken off."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    there = tmp_path / "hub/models--owkin--phikon"
    for name, text in {"refs/main": "abc", **{f"snapshots/abc/{name}": text for name, text in files.items()}}.items():
        (there / name).parent.mkdir(parents=True, exist_ok=True)
        (there / name).write_text(text)
    for offline in (True, False):
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", offline)
        row = stimage.list_towers().loc["phikon"]
        assert (row.cached, row.lacks) == (not lacks, lacks)
        away = f"hf download owkin/phikon, where there is a network: the cache lacks {lacks}"
        assert row.missing == (away if lacks and offline else "")
    done = run(capsys, "towers.py", out=tmp_path / "towers.csv")
    (line,) = (line for line in done.printed.splitlines() if line.startswith("phikon "))
    assert line.endswith(f"{lacks} are downloaded when it is used" if lacks else "ready")
