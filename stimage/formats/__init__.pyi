from .adding import write_slide as write_slide
from .anndata_files import read_slides as read_slides
from .anndata_files import write_h5ad as write_h5ad
from .importing import ImportedSlide as ImportedSlide
from .importing import from_anndata as from_anndata
from .importing import read_h5ad as read_h5ad
from .importing import read_space_ranger as read_space_ranger
