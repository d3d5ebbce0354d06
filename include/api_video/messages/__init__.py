"""What people read while it works.

May import: errors.

Change here: what is said while it works, progress; what hides secrets in output.

- progress: how far a long reading is
- progress_bar: the bar in a terminal
- progress_status: numbers and times in words
- masking: credentials taken out of everything that is said
- logs: what every line of a log passes
"""
