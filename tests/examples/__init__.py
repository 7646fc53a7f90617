"""Networks in the styles in which people write them by hand, without ``sow``: one file a style."""
