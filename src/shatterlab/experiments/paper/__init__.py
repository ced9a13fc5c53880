"""One file a figure, table or theorem of Zhang et al. 2017."""
