"""Embedding spots: the vectors of the models themselves, the same from anywhere and in any number of processes."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from datasets import load_dataset
from PIL import Image

import stimage_1k4m  # noqa: F401
from stimage.core.errors import DataError
from stimage.loading.embeddings import read_embeddings
from stimage.towers.image_towers import load_tower
from tests.evaluation.scripts import SCRIPTS, run
from tests.evaluation.towers import KINDS, SIZE, towers  # noqa: F401
from tests.roots import write_slide
from tests.test_scripts import run as run_apart


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("embed") / "root"
    for k in range(3):
        write_slide(root, f"S{k}", "ST" if k else "Visium", side=9 if k == 1 else 5, seed=k)
    return root


@pytest.fixture(scope="module")
def published(root, tmp_path_factory):
    out = tmp_path_factory.mktemp("embed") / "published"
    done = run_apart("data_process/build_shards.py", root, out)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture
def embed(capsys, towers):  # noqa: F811
    """Run embed_spots and say how it ended."""

    def embed(root, out, model="clip", *more):
        return run(capsys, "embed_spots.py", root, "--model", towers.get(model, model), *more, out=out)

    return embed


@pytest.fixture(scope="module")
def files():
    """What is in each Parquet file of a folder."""
    return lambda folder: {path.name: path.read_bytes() for path in sorted(folder.glob("*.parquet"))}


@pytest.mark.parametrize("kind", KINDS)
def test_vectors_are_those_of_the_model_itself(root, towers, kind):  # noqa: F811
    import transformers as hf

    spots = list(load_dataset("stimage_1k4m", "ST", data_dir=str(root), split="train", streaming=True).take(5))
    images = [spot["image"].resize((SIZE, SIZE), Image.Resampling.BICUBIC) for spot in spots]
    processor = hf.AutoImageProcessor.from_pretrained(towers[kind])
    pixels = processor(images, return_tensors="pt", do_resize=False).pixel_values
    with torch.inference_mode():
        if kind == "clip_vision":
            model = hf.CLIPVisionModelWithProjection.from_pretrained(towers[kind]).eval()
            want = model(pixels).image_embeds
        else:
            model = hf.AutoModel.from_pretrained(towers[kind]).eval()
            want = model(pixels) if kind == "dinov2" else model.get_image_features(pixels)
            want = want.pooler_output
    tower = load_tower(str(towers[kind]))
    got = tower.encode(torch.from_numpy(np.stack([np.asarray(image) for image in images])))
    assert got.shape == (5, tower.width) and torch.allclose(got, want, atol=1e-5)
    assert (got.std(0) > 0).any()


def test_any_source_order_and_number_of_processes(root, published, embed, files, towers, tmp_path):  # noqa: F811
    assert not embed(root, tmp_path / "root").error
    assert not embed(published, tmp_path / "shards", "clip", "--workers", 2).error
    two = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command = [*two, SCRIPTS / "embed_spots.py", root, "--model", towers["clip"], "--out", tmp_path / "two"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("spots\n") == 3  # each slide by one process, and the numbers a spot
    want = files(tmp_path / "root")
    assert list(want) == ["S0.parquet", "S1.parquet", "S2.parquet"]
    assert files(tmp_path / "shards") == want and files(tmp_path / "two") == want
    found = read_embeddings(tmp_path / "root")
    assert found.vectors.shape == (131, 16) and found.model.startswith("clip@")


def test_a_model_of_the_hub_by_name(root, hub, towers, embed, files, tmp_path):  # noqa: F811
    code = """
        import runpy, sys
        from huggingface_hub import create_repo, upload_folder
        model, root, script, out = sys.argv[1:]
        create_repo("tester/tower", private=True)
        upload_folder(folder_path=model, repo_id="tester/tower")
        sys.argv = [script, root, "--model", "tester/tower", "--slides", "S1", "--out", out]
        runpy.run_path(script, run_name="__main__")
    """
    hub.run(code, towers["clip"], root, SCRIPTS / "embed_spots.py", tmp_path / "hub")
    assert not embed(root, tmp_path / "here", "clip", "--slides", "S1").error
    there, here = (read_embeddings(tmp_path / where) for where in ("hub", "here"))
    assert there.model == here.model.replace("clip", "tester/tower") and np.array_equal(there.vectors, here.vectors)


def test_it_goes_on_where_it_stopped(root, embed, files, tmp_path):
    embed(root, tmp_path)
    want = files(tmp_path)
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.parquet")}
    (tmp_path / "S1.parquet").unlink()
    done = embed(root, tmp_path)
    assert "2 of them done" in done.printed and files(tmp_path) == want
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items() if path.stem != "S1")


@pytest.mark.parametrize("part", ["image/S1.png", "coord/S1_coord.csv"])
def test_a_slide_that_has_changed_is_embedded_anew(root, embed, files, tmp_path, part):
    changed, out = shutil.copytree(root, tmp_path / "root"), tmp_path / "out"
    embed(changed, out)
    before, path = files(out), changed / "ST" / part
    if path.suffix == ".png":
        Image.eval(Image.open(path), lambda value: 255 - value).save(path)
    else:
        path.write_text(path.read_text().replace("\nS1_0x0,", "\nS1_0x0,1", 1))
    done = embed(changed, out)
    assert "2 of them done" in done.printed, done.error
    assert [name for name, data in files(out).items() if data != before[name]] == ["S1.parquet"]
    embed(changed, tmp_path / "fresh")
    assert files(out) == files(tmp_path / "fresh")
    (out / "made_of/S1.json").write_text("{")
    assert "2 of them done" in embed(changed, out).printed


def test_filters_and_a_physical_patch(root, published, embed, tmp_path):
    done = embed(root, tmp_path / "a", "dinov2", "--slides", "S1", "--patch-um", 240, "--patch-px", 24)
    assert not done.error and [path.stem for path in (tmp_path / "a").glob("*.parquet")] == ["S1"]
    done = embed(published, tmp_path / "b", "dinov2", "--tech", "Visium")
    assert not done.error and [path.stem for path in (tmp_path / "b").glob("*.parquet")] == ["S0"]
    assert (
        "patches are cut already" in embed(published, tmp_path / "c", "clip", "--patch-um", 240, "--patch-px", 24).error
    )


def test_other_options_for_the_same_folder_are_refused(root, embed, tmp_path):
    embed(root, tmp_path)
    error = embed(root, tmp_path, "clip", "--batch-size", 8).error
    assert "was made with other options: batch_size 64, now 8; pass another out= (--out)" in error
    assert "model" in embed(root, tmp_path, "siglip").error
    (tmp_path / "embedding.json").write_text("{")
    assert "is damaged" in embed(root, tmp_path).error
    (tmp_path / "embedding.json").unlink()
    assert "has Parquet files but no embedding.json" in embed(root, tmp_path).error


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_slide_does_not_stop_the_others(root, embed, tmp_path, workers):
    broken = shutil.copytree(root, tmp_path / "root")
    (broken / "ST/image/S1.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    error = embed(broken, tmp_path / "out", "clip", "--workers", workers).error
    assert error.startswith("error: 1 of 3 slides failed, such as: ") and "S1.png" in error and "\n" not in error
    found = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*"))
    assert found == ["S0.parquet", "S2.parquet", "embedding.json", "made_of/S0.json", "made_of/S2.json"]


def test_what_is_no_vision_tower(root, embed, towers, tmp_path):  # noqa: F811
    assert "no readable config.json" in embed(root, tmp_path / "a", tmp_path / "no_model").error
    assert "is no vision model that is known here, but 'bert'" in embed(root, tmp_path / "b", "bert").error
    bad = shutil.copytree(towers["clip"], tmp_path / "bad")
    (bad / "config.json").write_text("{")
    assert "no readable config.json" in embed(root, tmp_path / "c", bad).error
    shutil.copy(towers["clip"] / "config.json", bad)
    (bad / "preprocessor_config.json").unlink()
    assert "no readable preprocessor_config.json" in embed(root, tmp_path / "d", bad).error
    (bad / "model.safetensors").unlink()
    assert "can't be loaded as CLIPVisionModelWithProjection" in embed(root, tmp_path / "e", bad).error
    assert not any((tmp_path / letter).exists() for letter in "abcde")


def test_weights_that_would_be_random_are_refused(towers, tmp_path):  # noqa: F811
    from safetensors.torch import load_file, save_file

    bad = shutil.copytree(towers["clip"], tmp_path / "bad")
    weights = load_file(bad / "model.safetensors")
    del weights["visual_projection.weight"]
    save_file(weights, bad / "model.safetensors", {"format": "pt"})
    with pytest.raises(DataError, match=r"lacks 1 weights .* visual_projection.weight; they would be random"):
        load_tower(str(bad))


def test_our_own_checkpoints_are_clip_to_it(towers, tmp_path):  # noqa: F811
    """A model of another type that keeps CLIP's vision tower and projection, with heads of its own."""
    ours = shutil.copytree(towers["clip"], tmp_path / "ours")
    config = json.loads((ours / "config.json").read_text())
    config["vision_config"]["projection_dim"] = config["projection_dim"]
    (ours / "config.json").write_text(json.dumps(config | {"model_type": "stimage_clip", "latent_dim": 4}))
    images = torch.randint(0, 255, (3, SIZE, SIZE, 3), dtype=torch.uint8)
    assert torch.equal(load_tower(str(ours)).encode(images), load_tower(str(towers["clip"])).encode(images))


def test_timm_is_asked_for_only_when_needed(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ImportError, match=r'timm is not installed; pip install .*\[timm\]"'):
        load_tower("timm:vit_tiny")
