"""What a trial is, how it runs from data to one row, and how it checks itself."""
