"""The slices: each folder is one feature, found and registered by itself (`shared.slices`)."""
