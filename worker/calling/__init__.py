"""The user's own functions, called apart from everything else: on a thread and a loop of their own."""
