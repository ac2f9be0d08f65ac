"""One runner that breaks things by a seed, and one checker that proves from three histories that nothing was lost."""
