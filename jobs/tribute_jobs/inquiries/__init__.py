"""Questions about finished work: reports, explanations, comparisons, checks."""
