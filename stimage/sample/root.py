"""Make a whole root: its studies, and the order in which its slides are made."""

from pathlib import Path

from stimage.core.arguments import check_whole, path_of
from stimage.sample.files import write_made_meta, write_made_slide, write_truth
from stimage.sample.slides import STUDIES, generator, make_batch, make_slide, with_other_genes

SMALLEST = 4  # spots along a side with which every slide has tissue of several regions


def make_sample(
    out: str | Path,
    seed: int = 0,
    genes: int = 2000,
    slides_per_study: int = 6,
    st_side: int = 14,
    visium_side: int = 20,
    hd_side: int = 64,
) -> list[str]:
    """Make a small root with a known structure: two ST studies, two Visium studies and one of Visium HD.

    Parameters
    ----------
    out
        The folder to write; it must be new or empty.
    seed
        The seed of all that is drawn; the same seed gives the same bytes.
    genes
        Number of genes of each species; each slide lacks a few.
    slides_per_study
        Number of slides in each ST and Visium study. There is one Visium HD slide.
    st_side, visium_side, hd_side
        Number of spots along a side of the lattice, before spots off the tissue are left out.

    Returns
    -------
    list of str
        The names of the slides.

    Raises
    ------
    FileExistsError
        If ``out`` is a file, or has something in it.
    ValueError
        If ``genes``, ``slides_per_study`` or a side is too small.

    Examples
    --------
    >>> import stimage
    >>> names = stimage.make_sample("small", genes=60, slides_per_study=1, st_side=4, visium_side=4, hd_side=4)
    >>> stimage.open_root("small")
    <Root .../small: 2 ST, 2 Visium, 1 VisiumHD>
    """
    out, sides, made = path_of(out, "out"), {"ST": st_side, "Visium": visium_side, "VisiumHD": hd_side}, []
    for name, number in {"seed": seed, "genes": genes, "slides_per_study": slides_per_study, **sides}.items():
        check_whole(number, name)
    _check(out, slides_per_study, min(sides.values()))
    for study in STUDIES:
        batch = make_batch(study, genes, seed)
        for k in range(1 if study.tech == "VisiumHD" else slides_per_study):
            name = f"{study.name}_{study.tech}_{'ABCDEFGH'[k % 8]}{k // 8 + 1}"
            rng = generator(seed, name)
            slide = make_slide(name, study, batch, sides[study.tech], rng)
            made.append(with_other_genes(slide, len(made), rng))
            write_made_slide(out, made[-1], len(made) - 1, rng)
    write_made_meta(out, made)
    write_truth(out, seed, made)
    return [slide.name for slide in made]


def _check(out: Path, slides_per_study: int, side: int) -> None:
    """Refuse a folder with something in it, and a sample too small to have its structure."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"{out}: is {'not empty' if out.is_dir() else 'a file'}; name a new folder")
    if slides_per_study < 1 or side < SMALLEST:
        raise ValueError(f"a study needs at least 1 slide, and a slide at least {SMALLEST} spots a side")
