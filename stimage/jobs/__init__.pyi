from .anndata_slides import add_slide as add_slide
from .anndata_slides import read_slide as read_slide
from .checking import check as check
from .roots import Root as Root
from .roots import list_slides as list_slides
from .roots import open_root as open_root
from .spots import gene_names as gene_names
from .spots import load as load
