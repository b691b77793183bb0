"""Plans a review: selects the files and packs their hunks into chunks."""
