"""Tables on disk: writing and reading versions of datasets, and saying what is in them."""
