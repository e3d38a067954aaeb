//! Promises, tested.
mod layers;
