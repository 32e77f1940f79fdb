"""Models of known truth, to which methods of localization are held."""
