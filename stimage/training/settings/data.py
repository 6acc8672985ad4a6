"""The settings of a run's data: which spots, their patches, and what is given of their genes."""

from dataclasses import dataclass
from typing import ClassVar

from stimage.core.errors import DataError
from stimage.genes.normalise import NORMALISATIONS
from stimage.genes.sentences import GENE_KINDS
from stimage.slides.catalog import TECHS, Filters
from stimage.slides.images.patches import Patch
from stimage.slides.splits.splitting import FRACTIONS, SPLIT_BY, Splitting
from stimage.training.settings.fields import Group, setting

TOO_COARSE = ("error", "drop")


@dataclass(frozen=True)
class DataSettings(Group):
    """Which spots, their patches, and what is given of their genes."""

    group: ClassVar[str] = "data"

    source: str = setting("", "a root, a published folder, or a published data set's name on the Hub", file=True)
    tech: str = setting("all", "technology", choices=(*TECHS, "all"))
    slides: str | tuple[str, ...] | None = setting(None, "only these slides: names, or a file of names (.csv, .txt)")
    exclude: str | tuple[str, ...] | None = setting(None, "leave these slides out: names, or a file of names")
    species: str | tuple[str, ...] | None = setting(None, "only slides of these species")
    tissue: str | tuple[str, ...] | None = setting(None, "only slides of these tissues")
    pmid: str | tuple[str, ...] | None = setting(None, "only slides of these studies")
    validation_slides: str | tuple[str, ...] | None = setting(
        None, "hold out these slides, of whichever split, instead of split_by"
    )
    split_by: str | None = setting(None, "what is never on two sides; train is trained on, validation held out, test "
                                   "left alone", choices=SPLIT_BY)  # fmt: skip
    split_seed: int = setting(0, "another seed gives another split")
    split_fractions: tuple[float, ...] = setting(FRACTIONS, "shares of train, validation and test", length=3, least=0)
    patients: str | None = setting(None, "CSV file with the columns slide and patient, to split by patient", file=True)
    splits: str | None = setting(None, "CSV file with the columns slide and split, which rules; none overlooks the "
                                 "root's own", file=True)  # fmt: skip
    no_study: str | None = setting(None, "by study: own makes each slide of no known study a study of its own",
                                   choices=("own",))  # fmt: skip
    patch_um: float | None = setting(None, "side of a root's patches in µm; null takes the original's square of 2r",
                                     above=0)  # fmt: skip
    patch_px: int | None = setting(None, "pixels that this side is resampled to", least=1)
    upsample: bool = setting(False, "take images that are coarser than that, too")
    too_coarse: str = setting("error", "slides whose images are coarser than that: stop, or leave them out and say so",
                              choices=TOO_COARSE)  # fmt: skip
    mixed_magnification: bool = setting(False, "with patch_um null, take slides whose squares of 2r differ in µm, too")
    pyramid: bool = setting(False, "cut them from the coarsest level of an image that is not coarser than they are")
    um_per_px: float | str | None = setting(None, "scale: µm per pixel of all slides, or a CSV file with the columns "
                                            "slide and um_per_px", above=0, file=True)  # fmt: skip
    image_vectors: str | None = setting(None, "what embed wrote of these spots, a folder or a file: heads are trained "
                                        "on its vectors, and no image is read", file=True)  # fmt: skip
    augment: bool = setting(True, "turn, mirror and recolour the patches that are trained on")
    panel: str | None = setting(None, "file of the genes that a gene tower takes, of select_genes.py", file=True)
    gene_table: str | None = setting(None, "table of symbols and Ensembl ids, for a root's slides that name genes "
                                     "otherwise", file=True)  # fmt: skip
    normalise: str = setting("median-log1p", "how counts become expression; a slide's median total is its own",
                             choices=NORMALISATIONS)  # fmt: skip
    vectors: str | None = setting(None, "file or folder of spots' vectors, of another model of expression, for the "
                                  "tower vectors: Parquet or CSV, as of embed_spots.py", file=True)  # fmt: skip
    sentence_genes: int | None = setting(None, "genes of a spot's sentence, for a text tower; null: as many as fit "
                                         "into its tokens in 95 % of the sentences", least=1)  # fmt: skip
    above_mean: bool = setting(True, "choose them by log-fold over the slide's mean")
    exclude_genes: tuple[str, ...] = setting((), "kinds of genes that sentences leave out", choices=GENE_KINDS)

    @property
    def filters(self) -> Filters:
        """The builder's filters."""
        return Filters(self.slides, self.species, self.tissue, self.pmid, exclude=self.exclude)

    @property
    def patch(self) -> Patch:
        """How the patches of a root are cut."""
        try:
            return Patch(self.patch_um, self.patch_px, self.upsample, self.pyramid)
        except ValueError as error:
            raise DataError(f"data.patch_um, data.patch_px: {error}") from None

    @property
    def splitting(self) -> Splitting:
        """How slides are split, before ``validation_slides`` are taken out."""
        if self.validation_slides:
            return Splitting(splits=self.splits)
        first, second, third = self.split_fractions
        try:
            return Splitting(self.split_by, self.split_seed, (first, second, third), self.patients, self.splits,
                             self.no_study)  # fmt: skip
        except ValueError as error:
            raise DataError(f"data: {error}") from None
