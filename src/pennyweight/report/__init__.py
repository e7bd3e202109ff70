"""What people read: tables in a terminal, progress while training, plots, and the report of a run as one HTML page.

Nothing is imported here, so that a command line which prints one table loads neither matplotlib nor jinja2.
"""
