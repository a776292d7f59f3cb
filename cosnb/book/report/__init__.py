"""Contents of pages: tables and sentences made of records or formulas, and the report on one activation."""
