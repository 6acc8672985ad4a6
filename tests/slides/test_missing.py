"""What a slide lacks: told whole, and while files of another process wait."""

import pytest

from stimage.core.errors import DataError
from stimage.slides.catalog import Slide
from stimage.slides.missing import half_placed, need_counts


def alone(name: str) -> Slide:
    return Slide(name, "ST", f"root/ST/coord/{name}_coord.csv", "", f"root/ST/image/{name}.png", gene_num=0)


def test_half_placed_of_an_image_alone():
    coord, image = "ST/coord/A_coord.csv", "ST/image/A.png"
    assert half_placed("root", alone("A"), {coord})
    assert not half_placed("root", alone("A"), {coord, image})
    assert not half_placed("root", alone("A"), {"ST/coord/B_coord.csv", "ST/image/B.png"})


def test_many_are_named_in_part():
    names = [f"S{k}" for k in range(7)]
    with pytest.raises(DataError, match=r"^it needs counts, and images alone have none: S0, S1, S2, S3, S4, …; leave"):
        need_counts(map(alone, names), "it")
    need_counts([Slide("A", "ST", "", "", "", gene_num=5)], "it")
