"""Pictures as files: scale bars measured in pixels, insets, odd labels, odd values, and names that are too long."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from PIL import Image

from stimage.core.errors import DataError
from stimage.figures.charts.annotated import annotated_slides
from stimage.figures.charts.bars import f1_bars
from stimage.figures.charts.models import models_sheet
from stimage.figures.colours import FAINT, OKABE_ITO, OTHER, label_looks, legend_of, look_of
from stimage.figures.maps import gene_maps, label_maps, prediction_maps
from stimage.figures.pixels.check_picture import check_picture, with_footer
from stimage.figures.shapes import LabelledSlide, SlideImage, SpotShapes, View
from stimage.figures.sheets import contact_sheet
from stimage.figures.style import save, shortened
from tests.figures import inside, words_of
from tests.roots import write_csv, write_slide
from tests.test_scripts import run

UM = 0.7


def lattice(side=8, pitch=40.0):
    x, y = np.meshgrid(np.arange(1, side + 1) * pitch, np.arange(1, side + 1) * pitch)
    return SpotShapes(np.stack([x.ravel(), y.ravel()], 1), np.full(side * side, 10.0), um_per_px=UM)


def image_of(shapes, wide=400, high=380, whole=True):
    pixels = np.full((high, wide, 3), 235, np.uint8)
    left = np.full((high // 4, wide, 3), 235, np.uint8)
    return SlideImage(View(pixels, 0, 0, 1.0), View(left, 0, 0, 4.0) if whole else None)


def where(picture, colour) -> np.ndarray:
    """Return the middle (x, y) of the pixels that have a colour."""
    down, across = np.nonzero((np.abs(picture.astype(int) - [*bytes.fromhex(colour[1:])]) < 25).all(-1))
    assert len(down) > 20
    return np.array([(across.min() + across.max()) / 2, (down.min() + down.max()) / 2])


def bar_of(picture) -> int:
    """Return the length of the longest horizontal line of black pixels that is thicker than one row, in pixels."""
    black, longest = (picture < 60).all(-1), 0
    for row in black[:-2] & black[1:-1]:
        edges = np.flatnonzero(np.diff(np.concatenate([[0], row.view(np.int8), [0]])))
        longest = max(longest, int((edges[1::2] - edges[::2]).max(initial=0)))
    return longest


@pytest.fixture
def root(tmp_path):
    """A slide of 144 spots, 20 pixels apart, of which the second row's ends have labels of their own."""
    root, side = tmp_path / "root", 12
    write_slide(root, "Slide_A", "ST", side=side)
    Image.new("RGB", (270, 260), (235, 230, 240)).save(root / "ST/image/Slide_A.png")
    rows = [[f"Slide_A_{i}x{j}", "c" if (i, j) not in ((1, 0), (1, 11)) else "ab"[j > 0]]
            for i in range(side) for j in range(side)]  # fmt: skip
    write_csv(root / "annotation/Slide_A_anno.csv", [["", "V2"], *rows])
    meta = root / "meta/meta_all_gene.csv"
    head, row = meta.read_text().splitlines()
    meta.write_text(f"{head},um_per_px\n{row},{UM}\n")
    return root


@pytest.mark.parametrize("more", [(), ("--image",)])
def test_a_scale_bar_measured_in_the_picture(root, tmp_path, more):
    done = run(
        "evaluation/figures.py", "labels", "--root", root, "--slide", "Slide_A", *more, "--out", tmp_path / "out"
    )
    assert done.returncode == 0, done.stderr
    picture = np.asarray(Image.open(tmp_path / "out/labels_Slide_A.png").convert("RGB"))
    legend = int(picture.shape[1] * 0.88)
    a, b = (where(picture[:, :legend], colour) for colour in OKABE_ITO[:2])
    px_per_um = (b - a)[0] / (11 * 20 * UM)
    said = [line for line in words_of(tmp_path / "out/labels_Slide_A.pdf").splitlines() if line.endswith("m")]
    (um,) = (float(line.split()[0]) for line in said if line[0].isdigit())
    assert bar_of(picture) == pytest.approx(um * px_per_um, rel=0.01)
    assert abs((b - a)[1]) < 2


@pytest.mark.parametrize("more", [1, 2.5])
def test_the_bar_of_a_check_picture(tmp_path, more):
    shapes = lattice(20, 400.0)
    view = View(np.full((840, 840, 3), 235, np.uint8), 0, 0, 10.0)
    whole = View(np.full((round(100 * more), 100, 3), 235, np.uint8), 0, 0, 84.0)
    looks = {"x": label_looks(["x"])["x"], "y": label_looks(["x", "y"])["y"]}
    labels = ["x" if k == 0 else "y" if k == 19 else None for k in range(400)]
    colours = [look_of(label, looks) for label in labels]
    check_picture(tmp_path / "a.jpg", tmp_path / "b.jpg", SlideImage(view, whole), shapes, colours, "all")
    picture = np.asarray(Image.open(tmp_path / "a.jpg"))
    step = 8400 / picture.shape[1]
    assert bar_of(picture[picture.shape[1] :]) == pytest.approx(1000 / UM / step, rel=0.01)  # 1 mm of 5.9


@pytest.mark.parametrize("more", [1.2, 2.0])
def test_a_check_picture_has_all_of_the_image_beside_its_part(tmp_path, more):
    shapes, wide = lattice(20, 40.0), round(840 * more)
    view = View(np.full((840, 840, 3), 235, np.uint8), wide - 840, 0, 1.0)
    whole = View(np.full((210, wide // 4, 3), (40, 90, 160), np.uint8), 0, 0, 4.0)
    check_picture(tmp_path / "a.jpg", tmp_path / "b.jpg", SlideImage(view, whole), shapes, [OTHER] * 400, "all")
    below = np.asarray(Image.open(tmp_path / "a.jpg"))[1280:].astype(int)
    (down, across) = np.nonzero((np.abs(below - (40, 90, 160)) < 12).all(-1))
    dark = below[..., 0] - below[..., 2] > 100
    assert dark.any() == (len(down) > 1000) == (more > 1.25)  # a little more is no news
    if more > 1.25:
        assert across.max() < 1280 - 10 and across.min() > 1280 - 250 and down.min() > 5
        framed = np.nonzero(dark)[1]
        part = (framed.min() - across.min()) / (framed.max() - across.min())
        assert part == pytest.approx(1 - 840 / wide, abs=0.02)
    assert Image.open(tmp_path / "b.jpg").size == (144, 144)


def test_the_tissue_s_outline_is_seen_on_its_image(root, tmp_path):
    pixels, stained = np.full((600, 640, 3), 150, np.uint8), (range(150, 350), range(200, 400))
    pixels[np.ix_(*stained)] = np.random.default_rng(0).integers((80, 20, 100), (200, 140, 220), (200, 200, 3))
    Image.fromarray(pixels).save(root / "ST/image/Slide_A.png")
    rows = [[f"Slide_A_{i}x{j}", 140 + 20 * i, 190 + 20 * j, 5] for i in range(12) for j in range(12)]
    write_csv(root / "ST/coord/Slide_A_coord.csv", [["", "yaxis", "xaxis", "r"], *rows])
    pictures = []
    for more in ((), ("--no-outline",)):
        given = ("labels", "--root", root, "--slide", "Slide_A", "--image", *more, "--out", tmp_path / "out")
        assert run("evaluation/figures.py", *given).returncode == 0
        pictures.append(np.asarray(Image.open(tmp_path / "out/labels_Slide_A.png").convert("L")).astype(int))
    outlined, plain = pictures
    line = np.abs(outlined - plain) > 60
    assert (outlined[line] < 90).sum() > 300 and (outlined[line] > 220).sum() > 300  # dark within white
    picture = np.asarray(Image.open(tmp_path / "out/labels_Slide_A.png").convert("RGB"))[:, : plain.shape[1] * 7 // 8]
    left, right = (where(picture, colour)[0] for colour in OKABE_ITO[:2])
    px = (right - left) / (11 * 20)
    across = np.nonzero(line)[1]
    assert (across.max() - across.min()) / px == pytest.approx(200, abs=20)
    assert (across.max() + across.min()) / 2 == pytest.approx((left + right) / 2, abs=10 * px)


@pytest.mark.parametrize(("labels", "names"), [
    ([f"L{k % 25}" for k in range(64)], [*(f"L{k}" for k in range(20)), "5 rarer labels"]),
    (["alone"] * 64, ["alone"]),
    ([None] * 64, ["no label"]),
    (["b", "a 10", "a 9", None] * 16, ["a 9", "a 10", "b", "no label"]),
])  # fmt: skip
@pytest.mark.parametrize("on_image", [False, True])
def test_labels_of_any_number(tmp_path, labels, names, on_image):
    shapes = lattice()
    figure = label_maps("S", shapes, {"a": labels}, image_of(shapes) if on_image else None)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == names
    assert inside(figure)
    save(figure, tmp_path / "f")
    assert {*names} <= {*words_of(tmp_path / "f.pdf").splitlines()}
    sheet = annotated_slides([(LabelledSlide("S", image_of(shapes), shapes, labels), "n = 1")] * 4)
    assert inside(sheet) and len(sheet.subfigs) == 6


def test_spots_without_a_value_are_pale_and_counted():
    shapes, values = lattice(), np.arange(64.0)
    values[[3, 5]] = np.nan
    figure = gene_maps("S", shapes, {"ERBB2": values, "CD3E": np.arange(64.0)}, "log1p")
    first, second = figure.axes[:2]
    assert (first.get_title(), second.get_title()) == ("ERBB2, 2 spots without a value", "CD3E")
    colours = [*map(to_hex, first.collections[0].get_facecolor())]
    assert {k for k, colour in enumerate(colours) if colour == FAINT.lower()} == {3, 5}
    assert figure.axes[2].get_ylim()[1] > 60
    both = prediction_maps("S", shapes, ["A"], values[:, None], values[:, None] / 2, np.array([np.nan]), "log1p")
    assert to_hex(both.axes[0].collections[0].get_facecolor()[3]) == FAINT.lower()
    with pytest.raises(DataError, match="no spot has a value"):
        gene_maps("S", shapes, {"ERBB2": np.full(64, np.nan)}, "log1p")


def test_a_score_that_is_not_known_is_no_bar_of_zero():
    def card(mean):
        pooled = {
            "embedding": {"macro_f1": {"mean": mean, "std": None}},
            "majority": {"macro_f1": {"mean": 0.1, "std": 0.0}},
        }
        return {"protocol": {"name": "linear_probe", "config": {}}, "overall": {"pooled": pooled}}

    axes = f1_bars({"known": card(0.6), "unknown": card(None)}).axes[0]
    assert [text.get_text() for text in axes.texts] == ["not known"]
    heights = [bar.get_height() for bar in axes.patches]
    assert heights[0] == 0.6 and np.isnan(heights[1])


def test_names_that_differ_at_their_end_stay_apart():
    names = [f"invasive carcinoma of no special type, grade {k} of the Nottingham scale, region {k}" for k in (1, 2, 3)]
    assert len({shortened(name) for name in names}) == 3 and max(len(shortened(name)) for name in names) == 34
    shapes, labels = lattice(), [names[k % 3] for k in range(64)]
    figure = label_maps(names[0][:40], shapes, {"annotation": labels})
    said = [text.get_text() for text in figure.legends[0].get_texts()]
    assert inside(figure) and [line[-8:] for line in said] == ["region 1", "region 2", "region 3"]


def test_each_name_below_a_picture_has_its_own_colour():
    names = [f"{'a' * 30} {k} {'b' * 30}" for k in range(3)]  # alike where they are cut
    looks = label_looks(names)
    footer = np.asarray(with_footer(Image.new("RGB", (1400, 100), "white"), 1.0, 0.5, legend_of(names, looks)))[100:]
    for look in looks.values():
        assert (footer == [*bytes.fromhex(look.colour[1:])]).all(-1).sum() > 50


@pytest.mark.parametrize("whole", [True, False])
def test_a_part_of_an_image_is_shown_beside_the_whole(whole):
    shapes = lattice()
    image = SlideImage(View(np.full((400, 400, 3), 200, np.uint8), 0, 0, 1.0),
                       View(np.full((100, 200, 3), 90, np.uint8), 0, 0, 4.0 if whole else 2.1))  # fmt: skip
    figure = label_maps("S", shapes, {"a": ["x"] * 64}, image)
    insets = figure.axes[0].child_axes
    assert len(insets) == whole
    FigureCanvasAgg(figure).draw()
    for inset in insets:
        (frame,) = inset.patches
        assert frame.get_bbox().bounds == (0, 0, 400, 400) and inset.get_xlim() == (0, 800)
        box, outer = inset.get_window_extent(), figure.axes[0].get_window_extent()
        assert box.y0 >= 0 and box.y1 < outer.y0 and box.x1 == pytest.approx(outer.x1, abs=1)
        assert box.width == pytest.approx(0.8 * figure.dpi, rel=0.02)


@pytest.mark.parametrize(("wide", "high"), [(400, 250), (250, 400)])
def test_titles_stay_within_sheets_whose_slides_have_all_of_the_image_below(wide, high):
    shapes, labels = lattice(5), ["x"] * 25
    image = SlideImage(View(np.full((high, wide, 3), 200, np.uint8), 0, 0, 1.0),
                       View(np.full((300, 100, 3), 90, np.uint8), 0, 0, 4.0))  # fmt: skip
    slide = LabelledSlide("Human_Breast_Andersson_10142021_ST_C3", image, shapes, labels)
    f1 = {name: {"macro_f1": {"mean": 0.5, "std": 0.1}} for name in ("embedding", "majority")}
    probe = {"protocol": {"name": "linear_probe", "config": {}}, "overall": {"pooled": f1}}
    scores = {"slides": {f"S{k}": {"silhouette": k, "calinski_harabasz": k, "davies_bouldin": k} for k in range(20)}}
    where = {"CLIP": shapes.xy}
    sheets = [
        models_sheet({"CLIP": probe}, {"CLIP": scores}, where, {"CLIP": labels}, slide),
        annotated_slides([(slide, "study 34650042, n = 4")] * 5),
        label_maps("S", shapes, {"a": labels}, image),
    ]
    assert all(map(inside, sheets))
    counts, patches = np.arange(25.0), [np.zeros((9, 9, 3), np.uint8)] * 16
    sheet = contact_sheet(slide.name, image, shapes, counts, np.arange(16), patches, ["MT-CO1, ENSG00000000001"] * 16)
    assert inside(sheet) and sheet.axes[0].child_axes[0].get_window_extent().y0 >= 0
    assert "MT-CO1" in sheet.axes[1].child_axes[0].get_title()


def test_all_of_the_image_is_whole_beside_a_colour_bar():
    shapes, values = lattice(8), np.arange(48)
    shapes = SpotShapes(shapes.xy[:48], shapes.r[:48], um_per_px=UM)
    image = SlideImage(View(np.full((300, 370, 3), 200, np.uint8), 0, 0, 1.0),
                       View(np.full((200, 180, 3), 90, np.uint8), 0, 0, 3.0))  # fmt: skip
    figure = gene_maps("S", shapes, {"A": values, "B": values}, "log1p", image)
    FigureCanvasAgg(figure).draw()
    below = [inset.get_window_extent() for axes in figure.axes[:2] for inset in axes.child_axes]
    assert len(below) == 2 and min(box.y0 for box in below) >= 0


def test_no_room_is_kept_for_an_image_that_is_not_shown():
    shapes, labels = lattice(5), ["x"] * 25
    view = View(np.full((380, 400, 3), 235, np.uint8), 0, 0, 1.0)
    alone, same = (label_maps("S", shapes, {"a": labels}, SlideImage(view, whole)) for whole in (None, view))
    assert alone.get_size_inches() == pytest.approx(same.get_size_inches())
