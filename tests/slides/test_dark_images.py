"""Images of 16 bits that hold fewer: refused and found by the checks; the command in the message mends them."""

import re
import subprocess
import sys

import numpy as np
import pytest
import tifffile

import stimage
from stimage.core.errors import DataError
from tests.outs import write_outs


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
def test_fewer_bits_are_told_and_the_command_mends_it(tmp_path, bits):
    write_outs(tmp_path)
    pixels = tifffile.imread(tmp_path / "tissue.tif")
    pixels[0, 0] = 255
    image = tmp_path / "dark.tif"
    tifffile.imwrite(image, pixels.astype(np.uint16) << bits - 8, photometric="rgb")
    with pytest.raises(
        DataError, match=rf"dark.tif: its bands have 16 bits, but no value above {2**bits - 1:,}, so"
    ) as told:
        stimage.add_slide(tmp_path / "outs", tmp_path / "root", "S", image=image)
    assert not (tmp_path / "root/Visium").exists()
    command = re.search(r'python -c "(.*)"', str(told.value))[1]
    subprocess.run([sys.executable, "-c", command], cwd=tmp_path, check=True)
    stimage.add_slide(tmp_path / "outs", tmp_path / "root", "S", image=tmp_path / "converted.tif")
    read = tifffile.imread(tmp_path / "root/Visium/image/S.png")
    assert (read >> 8 == pixels).all()


def test_sixteen_bits_are_sixteen(tmp_path):
    write_outs(tmp_path)
    pixels = tifffile.imread(tmp_path / "tissue.tif").astype(np.uint16) << 8
    tifffile.imwrite(tmp_path / "full.tif", pixels, photometric="rgb")
    stimage.add_slide(tmp_path / "outs", tmp_path / "root", "S", image=tmp_path / "full.tif")
    tifffile.imwrite(tmp_path / "root/Visium/image/S.png", pixels >> 4, photometric="rgb")
    found = stimage.check(tmp_path / "root")
    (image,) = found[found.check == "image"].to_dict("records")
    assert image["status"] == "fail" and "no value above 4,095" in image["message"]
