"""How files of data are read: pickles of arrays, class folders, photos; and where the published files are."""
