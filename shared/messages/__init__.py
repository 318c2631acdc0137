"""Communication between slices: task declarations, events, messages collected in a transaction, and the broker that sends them."""
