from .root import make_sample as make_sample
