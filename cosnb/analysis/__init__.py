"""Analysis of formulas: pieces, limits, extrema, bounds and intervals, each finding with how it was found."""
