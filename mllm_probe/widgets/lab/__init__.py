"""The whole lab: heatmap, panel and the other parts, linked and opened in one line."""
