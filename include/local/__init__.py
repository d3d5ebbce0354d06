"""Helpers of the Makefile that run before any package is installed: standard library only."""
