"""The same file as a loading script of datasets 3.x: `make test-datasets3` runs this in its own environment."""

from pathlib import Path

import datasets
import pandas as pd
import pytest
from packaging.version import Version

from tests.roots import write_slide
from tests.test_scripts import run

SCRIPT = str(Path(__file__).parent.parent / "stimage_1k4m.py")
OLD = Version(datasets.__version__).major < 4


def load(root, **options):
    return datasets.load_dataset(SCRIPT, "ST", data_dir=str(root), split="train", trust_remote_code=True, **options)


@pytest.mark.skipif(OLD, reason="datasets 3.x takes loading scripts")
def test_new_datasets_refuse_loading_scripts(tiny):
    with pytest.raises(RuntimeError, match="no longer supported"):
        load(tiny)


def test_a_published_folder_is_read_by_old_and_new(tiny, tmp_path):
    done = run("data_process/build_shards.py", tiny, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    examples = list(datasets.load_dataset(str(tmp_path / "out"), "ST", split="train", streaming=True))
    counts = pd.read_csv(tiny / "ST/gene_exp/Slide_A_count.csv", index_col=0)
    assert len(examples) == len(counts)
    for example in examples:
        row = counts.loc[example["spot_id"]]
        assert example["counts"] == row[row > 0].tolist() and example["image"].size == (10, 10)


@pytest.mark.skipif(not OLD, reason="datasets 4 and later refuse loading scripts")
class TestLoadingScript:
    def test_streaming_and_prepared_agree_with_pandas(self, tiny, tmp_path):
        write_slide(tiny, "Slide_B", "ST", side=5, seed=1)
        streamed = list(load(tiny, streaming=True))
        prepared = load(tiny, cache_dir=str(tmp_path / "cache"), num_proc=2)
        assert len(streamed) == 34
        for one, other in zip(streamed, prepared):
            assert one["image"].tobytes() == other["image"].tobytes()
            assert {k: v for k, v in one.items() if k != "image"} == {k: v for k, v in other.items() if k != "image"}
        for slide in ("Slide_A", "Slide_B"):
            counts = pd.read_csv(tiny / f"ST/gene_exp/{slide}_count.csv", index_col=0)
            for example in streamed:
                if example["slide"] == slide:
                    row = counts.loc[example["spot_id"]]
                    assert example["counts"] == row[row > 0].tolist()

    def test_options_and_resume(self, tiny):
        write_slide(tiny, "Slide_B", "ST", side=5, seed=1)
        whole = [e["spot_id"] for e in load(tiny, streaming=True, panel=["ESR1"], image_format="png")]
        dataset = load(tiny, streaming=True, slides="slide_b", panel=["ESR1"])
        iterator = iter(dataset)
        seen = [next(iterator) for _ in range(7)]
        assert {len(e["expression"]) for e in seen} == {1}
        again = load(tiny, streaming=True, slides="slide_b", panel=["ESR1"])
        again.load_state_dict(dataset.state_dict())
        assert [e["spot_id"] for e in seen] + [e["spot_id"] for e in again] == whole[9:]

    def test_errors_name_the_file(self, tiny):
        (tiny / "ST/image/Slide_A.png").write_bytes(b"text")
        with pytest.raises(ValueError, match=r"Slide_A.png: is no PNG, JPEG or TIFF image"):
            list(load(tiny, streaming=True))

    def test_imported_it_is_found_by_name(self, tiny):
        import stimage_1k4m

        dataset = datasets.load_dataset("stimage_1k4m", "ST", data_dir=str(tiny), split="train", streaming=True)
        assert len(list(dataset)) == 9
        assert len(stimage_1k4m.gene_names(tiny)) == 4
