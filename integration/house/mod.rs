//! Holds the tree to what its map says of it.

mod layers;
