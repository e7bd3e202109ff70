"""Tables in a terminal, progress of training, plots, and reports as HTML pages.

Nothing is imported here, so that a command line that prints one table loads neither matplotlib nor jinja2.
"""
