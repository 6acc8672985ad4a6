"""The former place of the joint model, which model cards named."""

import warnings

from stimage.towers.joint.configuration_spot_clip import SpotClipConfig
from stimage.towers.joint.modeling_spot_clip import SpotClipModel, SpotClipOutput

__all__ = ["SpotClipConfig", "SpotClipModel", "SpotClipOutput"]
warnings.warn("stimage.towers.spot_clip: import SpotClipModel from stimage.towers", FutureWarning, stacklevel=2)
