"""Counts of made spots: negative binomial, with a gene programme for each region of the tissue."""

from dataclasses import dataclass

import numpy as np

from stimage.sample.lattices import MadeSpots
from stimage.sample.tissue import Tissue

RAISED = 8.0  # how many times more a region expresses its markers
BATCH = 0.15  # how much a gene's mean differs between studies (standard deviation of its logarithm)
MITOCHONDRIAL_GENES = ("ND1", "ND2", "CO1", "CO2", "ATP6", "CO3", "ND4", "CYB")
RIBOSOMAL = ("RPL3", "RPL7", "RPL13", "RPS2", "RPS6", "RPS18")
RING = np.array([(0.0, 0.0)] + [(f * np.cos(a), f * np.sin(a)) for f in (0.45, 0.9) for a in np.arange(8) * np.pi / 4])


def named_genes(tissue: Tissue) -> list[str]:
    """Return the regions' markers, then mitochondrial and ribosomal genes."""
    human = tissue.species == "human"
    markers = [gene for region in tissue.regions.values() for gene in region.markers]
    mitochondrial = [f"MT-{gene}" if human else f"mt-{gene.capitalize()}" for gene in MITOCHONDRIAL_GENES]
    return markers + mitochondrial + [gene if human else gene.capitalize() for gene in RIBOSOMAL]


def made_genes(tissue: Tissue, n: int) -> list[str]:
    """Return n gene names: the named genes, then made-up ones.

    Raises
    ------
    ValueError
        If n is too small for the named genes.
    """
    named = named_genes(tissue)
    if n < len(named):
        raise ValueError(f"genes={n}: at least {len(named)} are needed")
    return named + [f"{'GENE' if tissue.species == 'human' else 'Gene'}{i:05d}" for i in range(n - len(named))]


@dataclass(frozen=True)
class Programme:
    """How genes are expressed: ``means``, each gene's share of a spot's counts by region (float64, regions x genes,
    rows adding up to 1), and ``dispersion`` (float64, genes), the negative binomial's."""

    means: np.ndarray
    dispersion: np.ndarray


def draw_programme(tissue: Tissue, names: list[str], rng: np.random.Generator) -> Programme:
    """Draw the programme of a tissue, which its studies share up to their batch effect."""
    base = rng.lognormal(0, 1.3, len(names))
    base[[name.upper().startswith(("MT-", "RPL", "RPS")) for name in names]] *= 12
    means = np.tile(base, (len(tissue.regions), 1))
    places = {gene: i for i, gene in enumerate(names)}
    for k, region in enumerate(tissue.regions.values()):
        markers = [places[gene] for gene in region.markers]
        means[:, markers] = rng.lognormal(1.0, 0.3, len(markers))
        means[k, markers] *= RAISED
    return Programme(means / means.sum(1, keepdims=True), rng.lognormal(np.log(0.3), 0.5, len(names)))


def with_batch_effect(programme: Programme, rng: np.random.Generator) -> Programme:
    """Return the programme as one study sees it: each gene a little up or down, in all regions alike."""
    means = programme.means * rng.lognormal(0, BATCH, programme.means.shape[1])
    return Programme(means / means.sum(1, keepdims=True), programme.dispersion)


def region_shares(spots: MadeSpots, regions: np.ndarray, n_regions: int) -> np.ndarray:
    """Return how much of each spot lies in each region (float64, spots x regions), by looking at 17 points of it."""
    x = np.clip(np.rint(spots.x[:, None] + spots.r * RING[:, 0]).astype(int), 0, regions.shape[1] - 1)
    y = np.clip(np.rint(spots.y[:, None] + spots.r * RING[:, 1]).astype(int), 0, regions.shape[0] - 1)
    return (regions[y, x][..., None] == np.arange(n_regions)).mean(1)


def draw_counts(shares: np.ndarray, programme: Programme, total: float, rng: np.random.Generator) -> np.ndarray:
    """Draw counts (int64, spots x genes): negative binomial, ``total`` a spot on average, library sizes log-normal."""
    library = total * rng.lognormal(0, 0.35, len(shares))
    mean = library[:, None] * (shares @ programme.means) / shares.sum(1, keepdims=True)
    return rng.poisson(rng.gamma(1 / programme.dispersion, programme.dispersion * mean))
