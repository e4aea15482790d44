"""The report of a rule that measures: report.html to read, report.csv and report.json to compute with."""
