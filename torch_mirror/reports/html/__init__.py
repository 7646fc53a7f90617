"""A report that people would rather look at than read: one file of HTML, with nothing beside it and nothing fetched."""
