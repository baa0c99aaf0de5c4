//! Models of other ways to route, to compare with: each a machine with typed messages.
