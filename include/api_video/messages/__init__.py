"""What people read while it works: progress, lines of a log, credentials taken out.

May import: errors.
What is said of progress, what must not be said: here.
"""
