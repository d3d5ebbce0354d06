"""What the Makefile's commands need on one machine, before any package is installed: the standard library alone."""
