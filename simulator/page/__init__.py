"""A page for people: the groups, their messages and cards, and buttons that can be pressed. Plain HTML, no script."""
