"""Time travel: what handlers would have decided about the interactions in the log. Nothing is sent, nothing written."""
