"""Read Excel workbooks: code that both formats share, and a package for each format."""
