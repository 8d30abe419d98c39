"""JSON REST APIs described in YAML: asking, paging, finding the rows and their times."""
