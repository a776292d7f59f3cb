"""The book: notebooks, figures, claims, reports and the site."""
