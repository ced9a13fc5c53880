"""Where trials run: in this process or in worker processes; `drive` runs the trials that a store lacks."""
