"""What each API does, a module for each group of the platform's documents."""
