"""How files of data are read: IDX, CIFAR batches, class folders, photos; and where the published files are."""
