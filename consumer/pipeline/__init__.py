"""The one package that joins `stream` and `delivery`."""
