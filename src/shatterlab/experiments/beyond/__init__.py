"""Questions beside the paper's: one file a question."""
