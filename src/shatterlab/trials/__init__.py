"""One trial: from data to a row, checked while it runs."""
