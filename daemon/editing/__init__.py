"""config.yaml edited while the daemon runs: found, judged, put in force, told."""
