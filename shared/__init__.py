"""What two or more processes must agree on. Imports no process."""
