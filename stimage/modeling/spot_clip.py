"""The former place of the gene tower's model, which model cards named."""

import warnings

from stimage.towers.joint.configuration_spot_clip import SpotClipConfig
from stimage.towers.joint.modeling_spot_clip import SpotClipModel

__all__ = ["SpotClipConfig", "SpotClipModel"]
warnings.warn("stimage.modeling.spot_clip: import SpotClipModel from stimage.towers", FutureWarning, stacklevel=2)
