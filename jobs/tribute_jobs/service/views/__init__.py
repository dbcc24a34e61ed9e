"""What the service shows, read from the lake by the functions that the command line uses; knows no HTTP.

Every function that returns rows takes `publisher_id`. None stands for the operator, who sees all rows. Otherwise
only rows of that publisher can come back: the tables that are opened for a publisher hold no others (`scope`).
"""
