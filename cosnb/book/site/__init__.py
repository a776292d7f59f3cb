"""The site: staged, built by Jupyter Book, checked."""
