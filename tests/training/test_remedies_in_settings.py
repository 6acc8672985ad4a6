"""What reads slides names options; fine-tuning names its settings, and following them works."""

import pytest

import stimage
from stimage.core.errors import DataError, OutputError
from stimage.training.settings.remedies import in_settings, told_as_settings
from tests.evaluation.towers import make_tower
from tests.roots import write_csv, write_slide


@pytest.fixture
def root(tmp_path):
    for k in range(2):
        write_slide(tmp_path / "root", f"S{k}", "ST", side=4, seed=k)
    write_csv(tmp_path / "root/scales.csv", [["slide", "um_per_px"], ["S0", 0.5], ["S1", 0.5]])
    return tmp_path / "root"


def test_the_remedy_is_a_setting_that_works(root, tmp_path):
    make_tower("clip", tmp_path / "clip")
    settings = {"towers.image": str(tmp_path / "clip"), "towers.second": "mlp", "data.panel": ["ERBB2", "ESR1"],
                "data.um_per_px": str(root / "scales.csv"), "data.patch_um": 10, "data.patch_px": 32, "epochs": 1,
                "batch_size": 8, "workers": 0}  # fmt: skip
    with pytest.raises(DataError) as refused:
        stimage.finetune(root, tmp_path / "run", **settings)
    told = str(refused.value)
    assert told.endswith("or pass data.upsample=true") and "--" not in told, told
    assert stimage.finetune(root, tmp_path / "other", **settings, **{"data.upsample": True}).folder.is_dir()


@pytest.mark.parametrize(("said", "wanted"), [
    ("pass upsample=True (--upsample)", "pass data.upsample=true"),
    ("um_per_px= (--um-per-px, in the meta file: its column)", "data.um_per_px= (in the meta file: its column)"),
    ("or split_by='study' (--split-by study)", "or data.split_by=study"),
    ("leave it out by exclude= (--exclude); ask", "leave it out by data.exclude=; ask"),
    ("one size, by patch= (--patch-um, --patch-px)", "one size, by data.patch_um= and data.patch_px="),
    ("or pass on_mismatch='drop' (--on-mismatch drop)", "or pass data.exclude= with the slide"),
    ("pass size= (--size)", "pass towers.size="),
    ("pass trust_remote_code=True (--trust-remote-code)", "pass towers.trust_remote_code=true"),
    ("pass another out= (--out)", "pass another out= (--out)"),
    ("of push_to_hub= (--push-to-hub)", "of push_to_hub= (--push-to-hub)"),
])  # fmt: skip
def test_options_as_settings(said, wanted):
    assert in_settings(said) == wanted


def test_the_kind_of_error_stays():
    with pytest.raises(OutputError, match=r"^x: data.exclude=$"), told_as_settings():
        raise OutputError("x: exclude= (--exclude)")
    with pytest.raises(ValueError, match="upsample=True") as raised, told_as_settings():
        raise ValueError("upsample=True (--upsample)")
    assert "data." not in str(raised.value)
