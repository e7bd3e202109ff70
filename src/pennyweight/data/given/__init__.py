"""Sources that a program passes as objects: arrays, lists, tables and data sets of other libraries."""
