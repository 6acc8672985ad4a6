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
    """The spots, their patches and their genes."""

    group: ClassVar[str] = "data"

    source: str = setting("", "spots to train on: a root, a published folder, or the name of a published data set "
                          "on the Hub", file=True)  # fmt: skip
    tech: str = setting("all", "technology of the slides", choices=(*TECHS, "all"))
    slides: str | tuple[str, ...] | None = setting(None, "names of the slides to take, or a file of names (.csv, "
                                                   ".txt); null: all")  # fmt: skip
    exclude: str | tuple[str, ...] | None = setting(None, "names of slides to leave out, or a file of names")
    species: str | tuple[str, ...] | None = setting(None, "species of the slides to take; null: all")
    tissue: str | tuple[str, ...] | None = setting(None, "tissues of the slides to take; null: all")
    pmid: str | tuple[str, ...] | None = setting(None, "studies of the slides to take, by PubMed id; null: all")
    validation_slides: str | tuple[str, ...] | None = setting(None, "slides to hold out, as names or a file of "
                                                              "names; not beside split_by, or a table that holds "
                                                              "out others")  # fmt: skip
    split_by: str | None = setting(None, "groups that are never divided between two splits; train is trained on, "
                                   "validation held out, test left alone", choices=SPLIT_BY)  # fmt: skip
    split_seed: int = setting(0, "seed of the split; another seed gives another split")
    split_fractions: tuple[float, ...] = setting(FRACTIONS, "shares of train, validation and test", length=3, least=0)
    patients: str | None = setting(None, "CSV file with the columns slide and patient, to split by patient", file=True)
    splits: str | None = setting(None, "CSV file with the columns slide and split, which goes before split_by; none "
                                 "ignores the root's own", file=True)  # fmt: skip
    no_study: str | None = setting(None, "with split_by study: own makes each slide without a known study a study "
                                   "of its own", choices=("own",))  # fmt: skip
    patch_um: float | None = setting(None, "side of a root's patches in µm; null: the original's square, 2r pixels "
                                     "wide", above=0)  # fmt: skip
    patch_px: int | None = setting(None, "side in pixels that a patch of patch_um is resampled to", least=1)
    upsample: bool = setting(False, "accept images that are coarser than the patch, and upsample their patches")
    too_coarse: str = setting("error", "slides whose images are coarser than the patch: error stops, drop leaves "
                              "them out and says so", choices=TOO_COARSE)  # fmt: skip
    mixed_magnification: bool = setting(False, "with patch_um null: accept slides whose squares of 2r differ in µm")
    pyramid: bool = setting(False, "cut patches from the coarsest level of an image that is fine enough, instead of "
                            "from level 0")  # fmt: skip
    um_per_px: float | str | None = setting(None, "µm per pixel of all slides, or a CSV file with the columns slide "
                                            "and um_per_px", above=0, file=True)  # fmt: skip
    image_vectors: str | None = setting(None, "folder or file of vectors that embed wrote for these spots: heads "
                                        "are trained on them, and no image is read", file=True)  # fmt: skip
    augment: bool = setting(True, "turn, mirror and recolour the patches of the training spots")
    panel: str | None = setting(None, "panel file that select_genes.py wrote: the genes that a gene tower takes",
                                file=True)  # fmt: skip
    gene_table: str | None = setting(None, "table of symbols and Ensembl ids, for slides that have different kinds of "
                                           "gene names", file=True)  # fmt: skip
    normalise: str = setting("median-log1p", "how counts become expression; median-log1p and original scale to the "
                                             "slide's own median total",
                             choices=NORMALISATIONS)  # fmt: skip
    vectors: str | None = setting(None, "for the tower vectors: file or folder of another model's vectors of the "
                                  "spots, Parquet or CSV, as embed_spots.py writes them", file=True)  # fmt: skip
    sentence_genes: int | None = setting(None, "for a text tower: number of genes in a spot's sentence; null: as "
                                         "many as fit into its tokens in 95 % of the sentences", least=1)  # fmt: skip
    above_mean: bool = setting(True, "for a text tower: choose the genes by log-fold over the slide's mean")
    exclude_genes: tuple[str, ...] = setting((), "for a text tower: kinds of genes that sentences leave out",
                                             choices=GENE_KINDS)  # fmt: skip

    @property
    def filters(self) -> Filters:
        """The builder's filters."""
        return Filters(self.slides, self.species, self.tissue, self.pmid, exclude=self.exclude)

    @property
    def patch(self) -> Patch:
        """The size of patches in a root."""
        try:
            return Patch(self.patch_um, self.patch_px, self.upsample, self.pyramid)
        except ValueError as error:
            raise DataError(f"data.patch_um, data.patch_px: {error}") from None

    @property
    def splitting(self) -> Splitting:
        """The division of slides, before ``validation_slides`` are taken out."""
        if self.validation_slides and self.split_by:
            raise DataError(f"data.validation_slides and data.split_by={self.split_by} are two ways to hold out "
                            "slides; set data.validation_slides=null, or leave out data.split_by")  # fmt: skip
        first, second, third = self.split_fractions
        try:
            return Splitting(self.split_by, self.split_seed, (first, second, third), self.patients, self.splits,
                             self.no_study)  # fmt: skip
        except ValueError as error:
            raise DataError(f"data: {error}") from None
