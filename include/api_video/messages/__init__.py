"""What people read while a load runs: progress and log lines, with credentials removed.

May import: errors.
Change here: how progress is shown, what counts as a secret.
"""
