"""One file for each destination that needs more than dlt has, and what their failures mean.

May import: what warehouse may.
Another destination: here, and its name in settings.destination.
"""
