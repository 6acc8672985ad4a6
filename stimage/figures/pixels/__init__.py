"""Pictures drawn without matplotlib's axes: a slide's image with what was found on it, a scale bar and a legend."""
