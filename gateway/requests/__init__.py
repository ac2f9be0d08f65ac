"""POST /v1/requests: what programs ask for comes in here, through the log like everything else."""
